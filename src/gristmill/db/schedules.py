"""The schedules of one database, and the transaction in which a tick submits its task: both happen, or neither.

Any number of processes may look at the same schedule at once. Every change names the revision it was made for, so of
those that want to do the same, one does it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import schedules, tasks
from gristmill.db.tasks.moves import add_tasks
from gristmill.errors import Conflict, NotFound
from gristmill.failpoints import failpoint
from gristmill.tasks.model import UNDECODABLE, Json, NewTask, Task, TaskState
from gristmill.tasks.schedule import Misfire, Overlap, Plan, Schedule
from gristmill.tasks.ticks import Cron, Every

__all__ = ["CarriedOut", "StoredSchedules"]

_OPEN = (TaskState.PENDING, TaskState.PROCESSING)
_IN_OTHER_FORM = {"cron", "timezone", "every_seconds", "misfire", "overlap"}
_AS_THEY_ARE = tuple(column.name for column in schedules.c if column.name not in _IN_OTHER_FORM)
"""Columns that are fields of a schedule under the same name."""


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """What came of a plan."""

    plan: Plan
    tasks: Sequence[Task]


class StoredSchedules:
    """Rows of ``schedules``; ``named`` means an id or a name."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> list[Schedule]:
        """All, by name."""
        with self._database.read() as tx:
            return [_schedule(row) for row in tx.execute(select(schedules).order_by(schedules.c.name))]

    def get(self, named: str) -> Schedule:
        """:class:`NotFound` (``schedule_not_found``)."""
        with self._database.read() as tx:
            # One may be called what is the id of another.
            either = select(schedules).where(or_(schedules.c.id == named, schedules.c.name == named))
            row = tx.execute(either.order_by(schedules.c.id != named).limit(1)).first()
        if row is None:
            raise NotFound("schedule_not_found", schedule=named[:100])
        return _schedule(row)

    def due(self, now: int, *, limit: int) -> list[Schedule]:
        """Up to ``limit`` that have a tick by ``now``, the one that waits longest at the front."""
        statement = select(schedules).where(schedules.c.next_tick_at <= now, ~schedules.c.paused)
        with self._database.read() as tx:
            return [_schedule(row) for row in tx.execute(statement.order_by(schedules.c.next_tick_at).limit(limit))]

    def add(self, schedule: Schedule) -> Schedule:
        """Keep a new one; :class:`Conflict` (``schedule_exists``) if there is one of that name. Durable."""

        def work(tx: Connection) -> Schedule:
            _check_name_is_free(tx, schedule)
            known = tx.execute(select(schedules.c.id).where(schedules.c.id == schedule.id)).first()
            if known is None:
                tx.execute(insert(schedules).values(_row(schedule)))
            return schedule

        return self._database.transact(work, durable=True)

    def replace(self, old: Schedule, new: Schedule) -> Schedule | None:
        """Put ``new`` in the place of ``old``; None, with no effect, if that has changed in the meantime. Durable.

        :class:`Conflict` (``schedule_exists``) if another has its name.
        """
        changed = replace(new, updated_at=self._clock.now(), revision=old.revision + 1)
        as_it_was = (schedules.c.id == old.id) & (schedules.c.revision == old.revision)

        def work(tx: Connection) -> Schedule | None:
            _check_name_is_free(tx, changed)
            statement = update(schedules).where(as_it_was).values(_row(changed))
            return changed if tx.execute(statement).rowcount else None

        return self._database.transact(work, durable=True)

    def remove(self, named: str) -> Schedule:
        """Forget one; the tasks that it submitted stay. Durable."""
        found = self.get(named)
        self._database.transact(
            lambda tx: tx.execute(delete(schedules).where(schedules.c.id == found.id)).rowcount, durable=True
        )
        return found

    def carry_out(
        self, schedule: Schedule, *, idle: Plan, busy: Plan, drafts: Mapping[int, NewTask]
    ) -> CarriedOut | None:
        """Carry out ``busy`` while the task of the tick before has not ended, else ``idle``.

        Submits the drafts of the plan's ticks and moves the schedule on, in one transaction; durable. None, with no
        effect at all, if the schedule is no longer as it was, or the plan changes nothing.
        """

        def work(tx: Connection) -> CarriedOut | None:
            as_it_was = _is(schedule)
            if tx.execute(select(schedules.c.id).where(as_it_was).with_for_update()).first() is None:
                return None
            plan = busy if _has_open_task(tx, schedule) else idle
            if plan.next_tick_at == schedule.next_tick_at:
                return None
            now = self._clock.now()
            added = add_tasks(tx, [drafts[tick] for tick in plan.fire], now)
            failpoint("mid_fire")
            values: dict[str, Any] = {
                "next_tick_at": plan.next_tick_at,
                "fired": schedules.c.fired + len(plan.fire),
                "skipped": schedules.c.skipped + plan.skipped,
                "missed": schedules.c.missed + plan.missed,
                "revision": schedules.c.revision + 1,
                "error": None,
            }
            if plan.fire:
                values |= {"last_tick_at": plan.fire[-1], "last_run_at": now, "last_task_id": added[-1].id}
            tx.execute(update(schedules).where(as_it_was).values(values))
            return CarriedOut(plan, added)

        return self._database.transact(work, durable=True)

    def run(self, schedule: Schedule, draft: NewTask) -> Task:
        """Submit ``draft`` as the latest task of ``schedule``, whose ticks stay as they are. Durable.

        :class:`NotFound` (``schedule_not_found``) if it was removed in the meantime; nothing is submitted then.
        """

        def work(tx: Connection) -> Task:
            mine = schedules.c.id == schedule.id
            if tx.execute(select(schedules.c.id).where(mine).with_for_update()).first() is None:
                raise NotFound("schedule_not_found", schedule=schedule.name)
            (task,) = add_tasks(tx, [draft], self._clock.now())
            # The answer to a repeated request is its old task, which is not the latest by now, perhaps.
            if task.id == draft.id:
                values = {"last_run_at": task.created_at, "last_task_id": task.id}
                tx.execute(update(schedules).where(mine).values(revision=schedules.c.revision + 1, **values))
            return task

        return self._database.transact(work, durable=True)

    def fail(self, schedule: Schedule, error: Json) -> None:
        """Record why the tick that is due could not submit its task; it stays due."""
        statement = update(schedules).where(_is(schedule)).values(error=dict(error))
        self._database.transact(lambda tx: tx.execute(statement).rowcount)


def _is(schedule: Schedule) -> ColumnElement[bool]:
    return (
        (schedules.c.id == schedule.id)
        & (schedules.c.revision == schedule.revision)
        & (schedules.c.next_tick_at == schedule.next_tick_at)
        & ~schedules.c.paused
    )


def _check_name_is_free(tx: Connection, schedule: Schedule) -> None:
    other = select(schedules.c.id).where(schedules.c.name == schedule.name, schedules.c.id != schedule.id)
    if tx.execute(other).first() is not None:
        raise Conflict("schedule_exists", name=schedule.name)


def _has_open_task(tx: Connection, schedule: Schedule) -> bool:
    if schedule.last_task_id is None:
        return False
    statement = select(tasks.c.id).where(tasks.c.id == schedule.last_task_id, tasks.c.state.in_(_OPEN))
    return tx.execute(statement).first() is not None


def _row(schedule: Schedule) -> dict[str, Any]:
    rule = schedule.rule
    row = {name: getattr(schedule, name) for name in _AS_THEY_ARE}
    return row | {
        "payload": dict(schedule.payload),
        "cron": rule.expression if isinstance(rule, Cron) else None,
        "timezone": rule.timezone if isinstance(rule, Cron) else None,
        "every_seconds": rule.seconds if isinstance(rule, Every) else None,
        "misfire": schedule.misfire.value,
        "overlap": schedule.overlap.value,
    }


def _schedule(row: Any) -> Schedule:
    return Schedule(
        **{name: getattr(row, name) for name in _AS_THEY_ARE}
        | {"payload": row.payload if isinstance(row.payload, dict) else {UNDECODABLE: str(row.payload)[:200]}},
        rule=Every(row.every_seconds) if row.cron is None else Cron(row.cron, row.timezone),
        misfire=Misfire(row.misfire),
        overlap=Overlap(row.overlap),
    )
