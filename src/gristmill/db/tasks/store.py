"""The task store on SQL: each port method is one transaction."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import bindparam, delete, exists, func, insert, select, update
from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import (
    task_events,
    task_is_ready,
    task_is_scheduled,
    task_items,
    tasks,
    workers,
)
from gristmill.db.tasks.acceptance import Acceptance
from gristmill.db.tasks.claims import claim_statement, ready_statement
from gristmill.db.tasks.completions import complete_all, is_plain
from gristmill.db.tasks.endings import end_attempt
from gristmill.db.tasks.families import cancel_tasks, generations, retry_tasks, spawn
from gristmill.db.tasks.moves import has_state, record
from gristmill.db.tasks.rows import event_from, matches, progress_values, task_from, worker_from
from gristmill.db.tasks.tail import SqlEventTail
from gristmill.db.tasks.unanswered import Unanswered
from gristmill.errors import NotFound
from gristmill.failpoints import failpoint
from gristmill.tasks.model import (
    Completed,
    Event,
    Json,
    Lost,
    NewTask,
    Outcome,
    Progress,
    Released,
    Task,
    TaskFilter,
    TaskState,
    Waiting,
    Worker,
)

__all__ = ["SqlTaskStore"]

_OPEN = (TaskState.PENDING, TaskState.PROCESSING)
_AS_CLAIMED = (tasks.c.slot, tasks.c.priority.desc(), tasks.c.number)
"""In the order in which each slot runs what it has claimed together."""


_HELD = (
    select(tasks)
    .where(
        tasks.c.id == bindparam("task_id"),
        tasks.c.lease == bindparam("held_lease"),
        tasks.c.state == TaskState.PROCESSING,
        tasks.c.worker_id.is_not(None),
    )
    .with_for_update()
)
"""The task whose attempt is held under a lease. Built once: building a statement costs more than running it."""


class SqlTaskStore:
    """Implements :class:`gristmill.tasks.ports.TaskStore`."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        result_expires_seconds: int,
        ring: Callable[[], object] = lambda: None,
    ) -> None:
        """``ring`` is called when children can be claimed whose parent has not said yet that it waits for them."""
        self._database = database
        self._ring = ring
        self._clock = clock
        self._acceptance = Acceptance(database, clock)
        self._unanswered = Unanswered(database)
        self._result_expires = result_expires_seconds * 1_000_000

    def add(self, tasks: Sequence[NewTask]) -> list[Task]:
        return self._acceptance.add(tasks)

    def get(self, task_id: str) -> Task:
        found = self.get_many([task_id])
        if not found:
            raise NotFound("task_not_found", task_id=task_id)
        return found[0]

    def get_many(self, task_ids: Sequence[str]) -> list[Task]:
        found: dict[str, Task] = {}
        with self._database.read() as tx:
            for start in range(0, len(task_ids), 500):
                batch = task_ids[start : start + 500]
                found |= {row.id: task_from(row) for row in tx.execute(select(tasks).where(tasks.c.id.in_(batch)))}
        return [found[task_id] for task_id in task_ids if task_id in found]

    def find(self, where: TaskFilter, *, limit: int, before: int | None = None) -> list[Task]:
        statement = select(tasks).where(matches(where)).order_by(tasks.c.number.desc()).limit(limit)
        if before is not None:
            statement = statement.where(tasks.c.number < before)
        with self._database.read() as tx:
            return [task_from(row) for row in tx.execute(statement)]

    def counts(self, where: TaskFilter) -> Mapping[TaskState, int]:
        # Of a stretch of time, SQLite would rather walk through all tasks in the order of their states.
        by_time = where.created_after is not None or where.created_before is not None
        group = tasks.c.state.concat("") if by_time else tasks.c.state
        statement = select(group, func.count()).where(matches(where)).group_by(group)
        with self._database.read() as tx:
            return {TaskState(state): count for state, count in tx.execute(statement)}

    def done_by_engine(self, where: TaskFilter) -> Mapping[str, int]:
        statement = select(tasks.c.engine, func.sum(tasks.c.done)).where(matches(where)).group_by(tasks.c.engine)
        with self._database.read() as tx:
            return {engine: int(done) for engine, done in tx.execute(statement)}

    def latest_ends(self, engine: str, *, since: int, limit: int) -> list[tuple[TaskState, float]]:
        statement = (
            select(tasks.c.state, tasks.c.finished_at - tasks.c.ready_at)
            .where(
                tasks.c.finished_at >= since,
                tasks.c.ready_at >= since,
                tasks.c.engine == engine,
                tasks.c.state.in_([TaskState.COMPLETED, TaskState.FAILED]),
            )
            .order_by(tasks.c.finished_at.desc())
            .limit(limit)
        )
        with self._database.read() as tx:
            return [(TaskState(state), micros / 1_000_000) for state, micros in tx.execute(statement)]

    def claim(
        self,
        worker_id: str,
        *,
        queues: Sequence[str],
        kinds: Collection[str],
        engines: Sequence[str] = ("local",),
        slot: int = 0,
        limit: int = 1,
        ready_before: int | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[Task]:
        if not queues or not engines:
            return []
        shape = {"by_age": ready_before is not None, "by_id": ids is not None}
        values: dict[str, object] = {f"queue_{index}": queue for index, queue in enumerate(queues)}
        values |= {f"engine_{index}": engine for index, engine in enumerate(engines)}
        values |= {"kinds": json.dumps(sorted(kinds)), "limit": limit}
        if ready_before is not None:
            values["ready_before"] = ready_before
        if ids is not None:
            values["ids"] = json.dumps(list(ids))
        if carried_out := self._unanswered.carried_out(worker_id, slot, ids):
            return carried_out
        # An idle worker asks often; it must not take the write lock to learn that there is nothing.
        with self._database.read() as tx:
            ready = ready_statement(self._database.dialect, len(engines), len(queues), **shape)
            if tx.execute(ready, values).first() is None:
                return []
        now = self._clock.now()
        values |= {"worker_id": worker_id, "slot": slot, "now": now}
        statement = claim_statement(self._database.dialect, len(engines), len(queues), **shape)

        def claim(tx: Connection) -> list[Any]:
            rows = list(tx.execute(statement, values))
            record(tx, rows, "claimed", now)
            return rows

        with self._unanswered.asked(worker_id, slot, now):
            rows = self._database.transact(claim, once=True)
        if ready_before is not None:
            return [task_from(row) for row in sorted(rows, key=lambda row: (row.ready_at, row.number))]
        return [task_from(row) for row in sorted(rows, key=lambda row: (-row.priority, row.number))]

    def progress(self, task_id: str, lease: int, progress: Progress) -> bool:
        statement = (
            update(tasks)
            .where(
                tasks.c.id == task_id,
                tasks.c.lease == lease,
                tasks.c.state == TaskState.PROCESSING,
                tasks.c.worker_id.is_not(None),
            )
            .values(updated_at=self._clock.now(), **progress_values(progress))
        )
        return self._database.transact(lambda tx: tx.execute(statement).rowcount == 1)

    def finish(self, task_id: str, lease: int, outcome: Outcome) -> Task | None:
        return self.finish_all([(task_id, lease, outcome)])[0]

    def finish_all(self, endings: Sequence[tuple[str, int, Outcome]]) -> list[Task | None]:
        for task_id, lease, outcome in endings:
            if isinstance(outcome, Waiting):
                self._spawn_ahead(task_id, lease, outcome.spawn)
        return self._database.transact(lambda tx: self._end_all(tx, endings), once=True)

    def _spawn_ahead(self, task_id: str, lease: int, children: Sequence[NewTask]) -> None:
        """Add all of ``children`` but those that come with the parent's waiting; none once it lost its lease or is to stop."""

        def add(tx: Connection, generation: Sequence[NewTask]) -> bool:
            parent = tx.execute(_HELD, {"task_id": task_id, "held_lease": lease}).first()
            if parent is None or parent.cancel_requested:
                return False
            spawn(tx, generation, self._clock.now())
            return True

        for generation in generations(children)[:-1]:
            if not self._database.transact(partial(add, generation=generation)):
                return
            self._ring()
            failpoint("between_generations")

    def _end_all(self, tx: Connection, endings: Sequence[tuple[str, int, Outcome]]) -> list[Task | None]:
        ended: list[Task | None] = []
        plain: list[tuple[str, int, Completed]] = []
        for task_id, lease, outcome in endings:
            if is_plain(outcome):
                plain.append((task_id, lease, outcome))
                continue
            # What comes before this one has to have happened when it does.
            ended += self._complete(tx, plain)
            plain.clear()
            ended.append(self._end_held(tx, task_id, lease, outcome))
        return [*ended, *self._complete(tx, plain)]

    def _complete(self, tx: Connection, endings: Sequence[tuple[str, int, Completed]]) -> Sequence[Task | None]:
        if len(endings) > 1:
            return complete_all(tx, endings, self._clock.now())
        return [self._end_held(tx, *ending) for ending in endings]

    def _end_held(self, tx: Connection, task_id: str, lease: int, outcome: Outcome) -> Task | None:
        row = tx.execute(_HELD, {"task_id": task_id, "held_lease": lease}).first()
        return None if row is None else self._end(tx, task_from(row), outcome)

    def _end(self, tx: Connection, task: Task, outcome: Outcome) -> Task:
        now = self._clock.now()
        return end_attempt(tx, task, outcome, now, now + self._result_expires)

    def request_cancel(self, where: TaskFilter) -> int:
        return self._database.transact(lambda tx: cancel_tasks(tx, where, self._clock.now()), durable=True)

    def retry(self, where: TaskFilter) -> list[str]:
        return self._database.transact(lambda tx: retry_tasks(tx, where, self._clock.now()), durable=True)

    def set_priority(self, where: TaskFilter, priority: int) -> int:
        now = self._clock.now()
        statement = (
            update(tasks)
            .where(matches(where), tasks.c.state.in_(_OPEN), tasks.c.priority != priority)
            .values(priority=priority, updated_at=now)
            .returning(*tasks.c)
        )
        with self._database.write() as tx:
            rows = list(tx.execute(statement))
            record(tx, rows, "priority_changed", now, {"priority": priority})
            return len(rows)

    def events(self, task_id: str | None = None, *, after: int = 0, limit: int = 1000) -> list[Event]:
        statement = select(task_events).where(task_events.c.seq > after).order_by(task_events.c.seq).limit(limit)
        if task_id is not None:
            statement = statement.where(task_events.c.task_id == task_id)
        with self._database.read() as tx:
            return [event_from(row) for row in tx.execute(statement)]

    def tail(self, *, after: int | None = None) -> SqlEventTail:
        return SqlEventTail(self._database, after=after, monotonic=self._clock.monotonic)

    def items(self, task_id: str, *, offset: int = 0, limit: int | None = None) -> list[Json]:
        fresh = exists().where(tasks.c.id == task_id, tasks.c.items_expire_at > self._clock.now())
        statement = (
            select(task_items.c.body)
            .where(task_items.c.task_id == task_id, task_items.c.position >= offset, fresh)
            .order_by(task_items.c.position)
            .limit(limit)
        )
        with self._database.read() as tx:
            return list(tx.execute(statement).scalars())

    def register_worker(self, worker: Worker) -> None:
        now = self._clock.now()
        values = {column.name: getattr(worker, column.name) for column in workers.c}
        values |= {"queues": [*worker.queues], "beat": 1, "started_at": now, "beat_at": now}
        with self._database.write() as tx:
            tx.execute(insert(workers).values(values))

    def heartbeat(self, worker_id: str) -> bool:
        statement = (
            update(workers).where(workers.c.id == worker_id).values(beat=workers.c.beat + 1, beat_at=self._clock.now())
        )
        with self._database.write() as tx:
            return tx.execute(statement).rowcount == 1

    def workers(self) -> Sequence[Worker]:
        with self._database.read() as tx:
            return [worker_from(row) for row in tx.execute(select(workers).order_by(workers.c.started_at))]

    def remove_worker(self, worker_id: str, outcome: Outcome) -> list[Task]:
        with self._database.write() as tx:
            tx.execute(delete(workers).where(workers.c.id == worker_id))
            held = select(tasks).where(tasks.c.worker_id == worker_id).order_by(*_AS_CLAIMED).limit(1)
            ended: list[Task] = []
            struck: set[int | None] = set()
            # One at a time: to end a cancelled task changes its children, which the same worker may hold.
            while (row := tx.execute(held.with_for_update()).first()) is not None:
                given = outcome
                if isinstance(outcome, Lost) and row.slot in struck:
                    # Claimed along with the one that its slot was at; a death counts against one.
                    given = Released(reason=outcome.reason)
                ended.append(self._end(tx, task_from(row), given))
                struck.add(row.slot)
            return ended

    def held(self, worker_id: str, *, cancel_requested: bool = False) -> Sequence[Task]:
        statement = select(tasks).where(tasks.c.worker_id == worker_id)
        if cancel_requested:
            statement = statement.where(tasks.c.cancel_requested)
        with self._database.read() as tx:
            return [task_from(row) for row in tx.execute(statement.order_by(*_AS_CLAIMED))]

    def promote_due(self) -> int:
        now = self._clock.now()
        late = task_is_scheduled & (tasks.c.scheduled_at <= now)
        with self._database.read() as tx:
            if tx.execute(select(tasks.c.number).where(late).limit(1)).first() is None:
                return 0
        with self._database.write() as tx:
            result = tx.execute(update(tasks).where(late).values(due=True, updated_at=now))
            return result.rowcount

    def reassign(self, engine: str, choose: Callable[[str], str], *, limit: int) -> list[Task]:
        now = self._clock.now()
        moved: list[Any] = []
        with self._database.write() as tx:
            found: list[str] = []
            for waits in (task_is_ready, task_is_scheduled):
                movable = (waits, tasks.c.engine == engine, ~tasks.c.pinned)
                waiting = select(tasks.c.id).where(*movable).limit(limit - len(found))
                # Others may move them at the same time, or claim them.
                found += tx.execute(waiting.with_for_update(skip_locked=True)).scalars()
            chosen: dict[str, list[str]] = {}
            for task_id in found:
                if (name := choose(task_id)) != engine:
                    chosen.setdefault(name, []).append(task_id)
            for name, ids in chosen.items():
                for start in range(0, len(ids), 500):
                    statement = (
                        update(tasks)
                        .where(tasks.c.id.in_(ids[start : start + 500]), has_state(TaskState.PENDING))
                        .values(engine=name, updated_at=now)
                        .returning(*tasks.c)
                    )
                    rows = list(tx.execute(statement))
                    record(tx, rows, "engine_changed", now, {"from": engine, "to": name})
                    moved += rows
        return [task_from(row) for row in moved]

    def purge(self, *, finished_before: int, limit: int) -> int:
        parent = tasks.alias("parent")
        parent_open = exists().where(parent.c.id == tasks.c.parent_id, parent.c.state.in_(_OPEN))
        old = select(tasks.c.id).where(tasks.c.finished_at < finished_before, ~parent_open).limit(limit)
        with self._database.write() as tx:
            ids = list(tx.execute(old).scalars())
            for start in range(0, len(ids), 500):
                batch = ids[start : start + 500]
                tx.execute(delete(task_events).where(task_events.c.task_id.in_(batch)))
                tx.execute(delete(task_items).where(task_items.c.task_id.in_(batch)))
                tx.execute(delete(tasks).where(tasks.c.id.in_(batch)))
            return len(ids)

    def purge_items(self) -> int:
        expired = select(tasks.c.id).where(tasks.c.items_expire_at <= self._clock.now())
        with self._database.write() as tx:
            ids = list(tx.execute(expired).scalars())
            for start in range(0, len(ids), 500):
                batch = ids[start : start + 500]
                tx.execute(delete(task_items).where(task_items.c.task_id.in_(batch)))
                tx.execute(update(tasks).where(tasks.c.id.in_(batch)).values(items_expire_at=None))
            return len(ids)
