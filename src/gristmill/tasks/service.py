"""The submit side of the lifecycle: accept, look, wait, stop, try again.

Used by the API, the command line and the library alike; knows no engine in particular and no handler.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from gristmill.clock import Clock
from gristmill.errors import Conflict, InvalidInput
from gristmill.failpoints import failpoint
from gristmill.ids import content_hash, new_id
from gristmill.logs import get_log
from gristmill.tasks.kind import Kind, decode_payload
from gristmill.tasks.model import Event, Json, NewTask, Task, TaskFilter, TaskState
from gristmill.tasks.ports import Engine, TaskStore
from gristmill.tasks.references import open_fields
from gristmill.tasks.secrets import NO_VAULT, Vault, opened
from gristmill.tasks.workflow import sealed_payload

__all__ = ["TaskService", "eta_seconds"]

_log = get_log(__name__)

_FIRST_LOOK_SECONDS = 0.004
_SLOWEST_LOOK_SECONDS = 0.1
_MOST_NAMED = 10
"""Tasks handed in together that get a line each in the log."""


class TaskService:
    """What one may do with tasks."""

    def __init__(
        self, store: TaskStore, engine: Engine, kinds: Mapping[str, Kind], clock: Clock, *, vault: Vault = NO_VAULT
    ) -> None:
        self._store = store
        self._engine = engine
        self._kinds = kinds
        self._clock = clock
        self._vault = vault

    @property
    def engine(self) -> Engine:
        """The engine that accepted tasks go to."""
        return self._engine

    def draft(
        self,
        kind: str,
        payload: Json,
        *,
        priority: int = 5,
        delay_seconds: float = 0.0,
        task_id: str | None = None,
        parent_id: str | None = None,
        collection: str | None = None,
        user_id: int | None = None,
        idempotency_key: str | None = None,
    ) -> NewTask:
        """A checked task that is not accepted yet.

        :class:`InvalidInput` for an unknown kind, a payload that does not fit, or a priority outside 0-9.
        """
        rules = self._kinds.get(kind)
        if rules is None:
            raise InvalidInput("kind_unknown", kind=kind, known=", ".join(sorted(self._kinds)))
        # That of a part of a workflow has been stored before.
        payload = opened(rules, payload, self._vault)
        if not 0 <= priority <= 9:
            raise InvalidInput("priority_out_of_range", value=priority)
        # Only what another task starts may use another's result.
        decode_payload(rules, payload, unchecked=() if parent_id is None else open_fields(payload))
        task_id = task_id or new_id()
        request_hash = None
        if idempotency_key:
            asked = [kind, payload, priority, delay_seconds, collection]
            request_hash = content_hash(json.dumps(asked, sort_keys=True))
        return NewTask(
            id=task_id,
            kind=kind,
            queue=rules.queue,
            engine=self._engine.choose(task_id),
            payload=sealed_payload(kind, payload, self._kinds, self._vault),
            priority=priority,
            max_attempts=rules.retry.max_attempts,
            soft_limit_seconds=rules.soft_limit_seconds,
            hard_limit_seconds=rules.hard_limit_seconds,
            scheduled_at=self._clock.now() + int(delay_seconds * 1_000_000) if delay_seconds > 0 else None,
            parent_id=parent_id,
            collection=collection,
            user_id=user_id,
            idempotency_key=idempotency_key,
            request_hash=request_hash,
        )

    def submit(self, kind: str, payload: Json, **options: Any) -> Task:
        """Accept one task (see :meth:`draft` for the options) and tell the engine; durable when this returns."""
        return self.submit_all([self.draft(kind, payload, **options)])[0]

    def submit_all(self, drafts: Sequence[NewTask]) -> list[Task]:
        """Accept all of ``drafts`` or none."""
        failpoint("before_accept")
        accepted = self._store.add(drafts)
        failpoint("after_accept")
        for task in accepted[:_MOST_NAMED]:
            _log.info("task.submitted", task_id=task.id, kind=task.kind, queue=task.queue, engine=task.engine)
        if len(accepted) > _MOST_NAMED:
            _log.info("tasks.submitted", count=len(accepted))
        self._tell([task for task in accepted if task.state is TaskState.PENDING and task.due])
        failpoint("after_dispatch")
        return accepted

    def _tell(self, tasks: Sequence[Task]) -> None:
        if tasks:
            self._engine.dispatch(tasks)

    def get(self, task_id: str) -> Task:
        """The task; :class:`NotFound` if there is none."""
        return self._store.get(task_id)

    def get_many(self, task_ids: Sequence[str]) -> list[Task]:
        """Those of the tasks that exist, in the order asked for."""
        return self._store.get_many(task_ids)

    def find(self, where: TaskFilter, *, limit: int = 50, before: int | None = None) -> list[Task]:
        """A page of matching tasks, newest first."""
        return self._store.find(where, limit=limit, before=before)

    def counts(self, where: TaskFilter | None = None) -> Mapping[TaskState, int]:
        """How many matching tasks are in each state."""
        return self._store.counts(where or TaskFilter())

    def events(self, task_id: str, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """What happened to the task, oldest first."""
        self._store.get(task_id)
        return self._store.events(task_id, after=after, limit=limit)

    def items(self, task_id: str, *, offset: int = 0, limit: int | None = None) -> list[Json]:
        """The task's result items."""
        return self._store.items(task_id, offset=offset, limit=limit)

    def wait(self, task_id: str, *, timeout_seconds: float) -> Task:
        """The task once it has ended, or as it is when the time is up."""
        deadline = time.monotonic() + timeout_seconds
        pause = _FIRST_LOOK_SECONDS
        while True:
            task = self._store.get(task_id)
            left = deadline - time.monotonic()
            if task.state.is_final or left <= 0:
                return task
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _SLOWEST_LOOK_SECONDS)

    def cancel(self, where: TaskFilter) -> int:
        """Ask matching tasks and their descendants to stop; how many that changed."""
        changed = self._store.request_cancel(where)
        if changed:
            # The request is durable by now; the engine only makes it heard sooner.
            self._engine.revoke(where.ids)
        return changed

    def cancel_one(self, task_id: str) -> Task:
        """Ask one task to stop; ended ones are returned as they are."""
        self._store.get(task_id)
        self.cancel(TaskFilter(ids=[task_id]))
        return self._store.get(task_id)

    def retry(self, where: TaskFilter) -> int:
        """Run matching failed and cancelled tasks again; how many."""
        retried = self._store.retry(where)
        for start in range(0, len(retried), 500):
            self._tell(self._store.get_many(retried[start : start + 500]))
        return len(retried)

    def retry_one(self, task_id: str) -> Task:
        """Run one ended task again; :class:`Conflict` (``task_not_ended``) unless it failed or was cancelled."""
        task = self._store.get(task_id)
        if not self.retry(TaskFilter(ids=[task_id])):
            raise Conflict("task_not_ended", task_id=task_id, state=task.state.value)
        return self._store.get(task_id)

    def set_priority(self, where: TaskFilter, priority: int) -> int:
        """Change the priority of matching tasks that have not ended; how many."""
        if not 0 <= priority <= 9:
            raise InvalidInput("priority_out_of_range", value=priority)
        return self._store.set_priority(where, priority)


def eta_seconds(task: Task, now: int) -> float | None:
    """Seconds until the task is done at the rate of this attempt, from its units; None while that is unknown."""
    progress = task.progress
    if task.state is not TaskState.PROCESSING or task.started_at is None or not progress.total:
        return None
    if progress.processed == 0:
        return None
    elapsed = max(0.0, (now - task.started_at) / 1_000_000)
    return elapsed / progress.processed * max(0, progress.total - progress.processed)
