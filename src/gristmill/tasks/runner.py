"""Runs one claimed task: decode, handle, classify what came of it, finish. The same steps on every engine."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from gristmill.clock import Clock
from gristmill.errors import Conflict, GristmillError
from gristmill.logs import get_log
from gristmill.tasks.context import (
    CancelRequested,
    LeaseLost,
    ReleaseRequested,
    RunContext,
    SoftLimitReached,
    Stop,
)
from gristmill.tasks.kind import Kind, decode_payload
from gristmill.tasks.model import (
    Attempted,
    Cancelled,
    Completed,
    Failed,
    Outcome,
    Released,
    Retried,
    Task,
    TaskError,
)
from gristmill.tasks.ports import Handler, TaskStore
from gristmill.tasks.references import has_reference, resolved
from gristmill.tasks.secrets import NO_VAULT, Vault, opened

__all__ = ["Guard", "Runner"]

Guard: TypeAlias = Callable[[Callable[[], Outcome]], Outcome]
"""Calls what it is given, with the means of interrupting it in place."""

_log = get_log(__name__)

_CONFLICT_DELAY_SECONDS = 0.2
_SLOWEST_FINISH_SECONDS = 5.0


class Runner:
    """Runs attempts with the handlers this process knows."""

    def __init__(
        self,
        store: TaskStore,
        kinds: Mapping[str, Kind],
        handlers: Mapping[str, Handler],
        clock: Clock,
        *,
        vault: Vault = NO_VAULT,
        random_source: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._handlers = handlers
        self._clock = clock
        self._vault = vault
        self._random = random_source
        self._sleep = sleep

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds this process can run; the others wait for a worker that knows them."""
        return frozenset(self._handlers)

    def run(self, task: Task, context: RunContext, *, guard: Guard) -> Task | None:
        """Run one attempt of a claimed task to its end; the task as it is then, None if the lease was lost."""
        return self.finish([(task, self.attempt(task, context, guard=guard))])[0]

    def attempt(self, task: Task, context: RunContext, *, guard: Guard) -> Outcome:
        """Run the handler of a claimed task and say what came of it; nothing is written yet.

        ``guard`` calls the handler; it is where a process puts its means of interrupting one.
        """
        _log.debug("task.started", kind=task.kind, attempt=task.attempt)
        try:
            outcome = guard(lambda: self._handle(task, context))
        except Stop as stop:
            outcome = self._classify(task, stop)
        except Exception as error:  # noqa: BLE001 - the guard's own failure must still end the attempt
            outcome = self._classify(task, error)
        return _with_progress(outcome, context)

    def finish(self, attempts: Sequence[tuple[Task, Outcome]]) -> list[Task | None]:
        """Write the outcomes of attempts; the tasks as they are then, None for one whose lease was lost.

        Written together if that works. If one of them cannot be, each is written alone, so that it alone is concerned.
        """
        ended: list[Task | None] | None = None
        if len(attempts) > 1:
            with suppress(Exception):
                ended = self._store.finish_all([(task.id, task.lease, outcome) for task, outcome in attempts])
        if ended is None:
            ended = [self._finish(task, outcome) for task, outcome in attempts]
        for (task, _), final in zip(attempts, ended, strict=True):
            if final is None:
                _log.warning("task.lease_lost", task_id=task.id, lease=task.lease)
            else:
                _log.info("task.ended", task_id=task.id, kind=task.kind, attempt=task.attempt, state=final.state.value)
        return ended

    def _handle(self, task: Task, context: RunContext) -> Outcome:
        try:
            kind = self._kinds[task.kind]
            given = opened(kind, task.payload, self._vault)
            if task.parent_id is not None and has_reference(given):
                given = resolved(given, self._store)
            payload = decode_payload(kind, given)
            returned = self._handlers[task.kind](context, payload)
        except (Stop, Exception) as error:  # noqa: BLE001 - every failure has its place in the outcome table
            return self._classify(task, error)
        return returned if isinstance(returned, Attempted) else Completed(result=returned)

    def _classify(self, task: Task, error: BaseException) -> Outcome:
        match error:
            case CancelRequested():
                return Cancelled()
            case ReleaseRequested():
                return Released(reason="worker shut down")
            case LeaseLost():
                return Released(reason="lease lost")
            case SoftLimitReached():
                seconds = task.soft_limit_seconds
                return Failed(error=TaskError(code="soft_limit_exceeded", facts={"seconds": seconds}))
            case MemoryError():
                return Failed(error=TaskError(code="memory_exhausted"))
            case GristmillError(transient=False):
                return Failed(error=TaskError.of(error))
            case GristmillError():
                return self._retried(task, TaskError.of(error))
            case _:
                # What a client may read names the kind of error only; the log holds the rest.
                _log.exception("task.raised", kind=task.kind)
                return self._retried(task, TaskError(code="unexpected_error", facts={"error": type(error).__name__}))

    def _retried(self, task: Task, error: TaskError) -> Retried:
        delay = self._kinds[task.kind].retry.delay_seconds(task.attempt, random_source=self._random)
        return Retried(error=error, delay_seconds=delay)

    def _finish(self, task: Task, outcome: Outcome) -> Task | None:
        pause = _CONFLICT_DELAY_SECONDS
        while True:
            try:
                return self._store.finish(task.id, task.lease, outcome)
            except Conflict as conflict:
                # The effect met a newer state of the index than the one it was prepared for: prepare it again.
                outcome = Retried(error=TaskError.of(conflict), delay_seconds=_CONFLICT_DELAY_SECONDS)
            except Exception as error:
                if isinstance(error, GristmillError) and (error.transient or error.code == "disk_full"):
                    # The work is done; waiting for the database beats doing it again. The hard limit bounds this.
                    self._sleep(pause)
                    pause = min(2 * pause, _SLOWEST_FINISH_SECONDS)
                elif isinstance(outcome, Retried) or (isinstance(outcome, Failed) and outcome.effect is None):
                    # Nothing simpler is left to write: let the process end, which is noticed and counted.
                    raise
                else:
                    outcome = self._classify(task, error)


def _with_progress(outcome: Outcome, context: RunContext) -> Outcome:
    if outcome.progress is not None:
        return outcome
    values: dict[str, Any] = {field: getattr(outcome, field) for field in outcome.__dataclass_fields__}
    return type(outcome)(**{**values, "progress": context.latest_progress})
