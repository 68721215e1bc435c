"""Stores with one defect each, which the suites of their contract must find."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace

from sqlalchemy import bindparam, delete, func, select, update

from gristmill.db.database import Database
from gristmill.db.schema import task_events, tasks
from gristmill.db.tasks import SqlTaskStore
from gristmill.db.tasks.moves import record
from gristmill.db.tasks.rows import task_from
from gristmill.errors import NotFound
from gristmill.tasks.model import Completed, Failed, Outcome, Task, TaskFilter, TaskState, Waiting
from tests.support.clock import TestClock

__all__ = ["BROKEN_STORES", "open_broken"]


class UnguardedClaim(SqlTaskStore):
    """Looks which tasks are ready, and takes them a moment later, whatever has become of them."""

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
        del engines, ready_before, ids
        ready = select(tasks.c.number).where(
            tasks.c.state == TaskState.PENDING, tasks.c.due, tasks.c.queue.in_(queues), tasks.c.kind.in_(kinds)
        )
        with self._database.read() as tx:
            numbers = list(tx.execute(ready.order_by(tasks.c.number).limit(limit)).scalars())
        time.sleep(0.002)
        now = self._clock.now()
        taken = (
            update(tasks)
            .where(tasks.c.number.in_(numbers))
            .values(
                state=TaskState.PROCESSING,
                worker_id=worker_id,
                slot=slot,
                lease=tasks.c.lease + 1,
                attempt=tasks.c.attempt + 1,
                started_at=now,
                finished_at=None,
            )
            .returning(*tasks.c)
        )
        with self._database.write() as tx:
            rows = list(tx.execute(taken))
            record(tx, rows, "claimed", now)
        return [task_from(row) for row in rows]


class SilentEnd(SqlTaskStore):
    """Ends attempts and tells nobody."""

    def finish(self, task_id: str, lease: int, outcome: Outcome) -> Task | None:
        ended = super().finish(task_id, lease, outcome)
        if ended is not None:
            last = select(func.max(task_events.c.seq)).where(task_events.c.task_id == task_id).scalar_subquery()
            with self._database.write() as tx:
                tx.execute(delete(task_events).where(task_events.c.seq == last))
        return ended


class LeaseIgnored(SqlTaskStore):
    """Ends the attempt that is running, whoever asks for it."""

    def finish(self, task_id: str, lease: int, outcome: Outcome) -> Task | None:
        try:
            lease = self.get(task_id).lease
        except NotFound:
            return None
        return super().finish(task_id, lease, outcome)


class LeaseReused(SqlTaskStore):
    """Gives the lease number back when an attempt ends, so that the next one presents the same."""

    def finish(self, task_id: str, lease: int, outcome: Outcome) -> Task | None:
        ended = super().finish(task_id, lease, outcome)
        if ended is not None and not ended.state.is_final:
            with self._database.write() as tx:
                tx.execute(
                    update(tasks).where(tasks.c.id == bindparam("the_id")).values(lease=lease - 1), {"the_id": task_id}
                )
        return ended


class EffectApart(SqlTaskStore):
    """Writes the effect of a handler in a transaction of its own, before it looks whether the lease still holds."""

    def finish(self, task_id: str, lease: int, outcome: Outcome) -> Task | None:
        if isinstance(outcome, Completed | Failed) and outcome.effect is not None:
            with self._database.write() as tx:
                outcome.effect(tx)
            values = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
            outcome = type(outcome)(**{**values, "effect": None})
        return super().finish(task_id, lease, outcome)


class CancelForgotten(SqlTaskStore):
    """Cancels what waits, and forgets what runs."""

    def request_cancel(self, where: TaskFilter) -> int:
        changed = super().request_cancel(where)
        with self._database.write() as tx:
            tx.execute(update(tasks).where(tasks.c.state == TaskState.PROCESSING).values(cancel_requested=False))
        return changed


class CancelSwallowed(SqlTaskStore):
    """Answers that it has cancelled what runs, and has not."""

    def request_cancel(self, where: TaskFilter) -> int:
        running = [task.id for task in self.find(where, limit=1000) if task.state is TaskState.PROCESSING]
        waiting = [task.id for task in self.find(where, limit=1000) if task.state is TaskState.PENDING]
        changed = super().request_cancel(TaskFilter(ids=waiting)) if waiting else 0
        return changed + len(running)


class HaltsIgnored(SqlTaskStore):
    """Lets a parent wait for all of its children, whatever becomes of one."""

    def finish(self, task_id: str, lease: int, outcome: Outcome) -> Task | None:
        if isinstance(outcome, Waiting):
            outcome = replace(outcome, halts=False)
        return super().finish(task_id, lease, outcome)


BROKEN_STORES: Mapping[str, type[SqlTaskStore]] = {
    store.__name__: store
    for store in (
        UnguardedClaim,
        SilentEnd,
        LeaseIgnored,
        LeaseReused,
        EffectApart,
        CancelForgotten,
        CancelSwallowed,
        HaltsIgnored,
    )
}


def open_broken(name: str, database: Database, clock: TestClock) -> SqlTaskStore:
    """The store with the defect ``name``."""
    return BROKEN_STORES[name](database, clock=clock, result_expires_seconds=3600)
