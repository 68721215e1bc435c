"""Moves a task along its lifecycle inside an open transaction.

Every move is one UPDATE guarded by the source states that the lifecycle table allows, and the event that records it.
"""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    bindparam,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection

from gristmill.db.bulk import BulkInsert, reserved
from gristmill.db.schema import task_events, tasks
from gristmill.db.tasks.rows import new_row, task_from
from gristmill.errors import Conflict
from gristmill.tasks.lifecycle import TRANSITIONS, Transition
from gristmill.tasks.model import (
    NewTask,
    Task,
    TaskState,
)

__all__ = [
    "FRESH_TRY",
    "add_rows",
    "add_tasks",
    "has_state",
    "may_make",
    "move",
    "record",
    "record_each",
]

FRESH_TRY: Mapping[str, Any] = {"waiting": False, "worker_id": None, "due": True}
"""What a task that is to run again is given."""


# Built once: building a statement costs more than running it.
_COLUMNS = tuple(column.name for column in tasks.columns)
_Row = cast("Any", namedtuple)("_Row", _COLUMNS)  # noqa: PYI024 - the columns are told in one place
"""A row as it is added, and as it would be read back."""
_ADD = BulkInsert(tasks, *_COLUMNS)
_BY_ID = select(tasks).where(tasks.c.id.in_(bindparam("ids", expanding=True)))
_RECORD = BulkInsert(task_events, "task_id", "at", "name", "attempt", "lease", "worker_id", "detail")


def may_make(transition: Transition) -> ColumnElement[bool]:
    """Whether a task is in a state that ``transition`` may start from."""
    # Not IN: its list would be rendered anew at each execution, and is not allowed where many rows change at once.
    return or_(*(has_state(source) for source in sorted(transition.sources)))


def has_state(state: TaskState) -> ColumnElement[bool]:
    """Whether a task that is found by other means is in ``state``: a million may be, so it is no way to find any."""
    return tasks.c.state.concat("") == state


def record(tx: Connection, rows: Sequence[Any], name: str, now: int, detail: Mapping[str, Any] | None = None) -> None:
    """Write the event ``name`` for each of ``rows``, as they are after the change."""
    record_each(tx, [(row, detail or {}) for row in rows], name, now)


def record_each(tx: Connection, rows: Sequence[tuple[Any, Mapping[str, Any]]], name: str, now: int) -> None:
    """What :func:`record` does, where each row has a detail of its own."""
    _RECORD(tx, ((row.id, now, name, row.attempt, row.lease, row.worker_id, dict(detail)) for row, detail in rows))


def move(
    tx: Connection,
    name: str,
    condition: ColumnElement[bool],
    values: Mapping[str, Any],
    now: int,
    detail: Mapping[str, Any] | None = None,
) -> list[Any]:
    """Take every task that meets ``condition`` and may make the transition ``name`` along it; the changed rows."""
    transition = TRANSITIONS[name]
    statement = (
        update(tasks)
        .where(may_make(transition), condition)
        .values(state=transition.target, updated_at=now, **values)
        .returning(*tasks.c)
    )
    rows = list(tx.execute(statement))
    record(tx, rows, name, now, detail)
    return rows


def add_tasks(tx: Connection, new_tasks: Sequence[NewTask], now: int) -> list[Task]:
    """Add those that are new; answer the others with what is there. See :meth:`TaskStore.add`."""
    return [task_from(row) for row in add_rows(tx, new_tasks, now)]


def add_rows(tx: Connection, new_tasks: Sequence[NewTask], now: int) -> list[Any]:
    """What :func:`add_tasks` does, answered with rows."""
    known = _known(tx, new_tasks)
    rows = {row.id: row for row in known.values()}
    answers: list[str] = []
    fresh: list[NewTask] = []
    for task in new_tasks:
        same_key = known.get(("key", task.idempotency_key)) if task.idempotency_key else None
        if same_key is not None and same_key.request_hash != task.request_hash:
            raise Conflict("idempotency_key_reused", key=task.idempotency_key, task_id=same_key.id)
        found = known.get(("id", task.id)) or same_key
        if found is None:
            fresh.append(task)
            # A list may name the same task twice; what holds between two calls holds within one.
            known["id", task.id] = task
            if task.idempotency_key:
                known["key", task.idempotency_key] = task
            found = task
        answers.append(found.id)
    numbers = reserved(tx, tasks.c.number, len(fresh))
    values = [new_row(task, now) | {"number": number} for task, number in zip(fresh, numbers, strict=True)]
    added = [_Row._make(map(value.get, _COLUMNS)) for value in values]
    _ADD(tx, added)
    rows |= {row.id: row for row in added}
    record(tx, added, "submitted", now)
    return [rows[task_id] for task_id in answers]


def _known(tx: Connection, new_tasks: Sequence[NewTask]) -> dict[tuple[str, str | None], Any]:
    keys = [task.idempotency_key for task in new_tasks if task.idempotency_key]
    known: dict[tuple[str, str | None], Any] = {
        ("id", row.id): row for row in _rows_by_id(tx, [task.id for task in new_tasks])
    }
    for start in range(0, len(keys), 500):
        for row in tx.execute(select(tasks).where(tasks.c.idempotency_key.in_(keys[start : start + 500]))):
            known["key", row.idempotency_key] = row
    return known


def _rows_by_id(tx: Connection, ids: Sequence[str]) -> list[Any]:
    rows: list[Any] = []
    for start in range(0, len(ids), 500):
        rows.extend(tx.execute(_BY_ID, {"ids": ids[start : start + 500]}))
    return rows
