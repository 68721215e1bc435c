"""Moves a task along its lifecycle inside an open transaction.

Every move is one UPDATE guarded by the source states that the lifecycle table allows, and the event that records it.
"""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Exists,
    Update,
    bindparam,
    case,
    exists,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection

from gristmill.db.bulk import BulkInsert, reserved
from gristmill.db.schema import task_events, task_items, tasks
from gristmill.db.tasks.rows import matches, new_row, progress_values, task_from
from gristmill.errors import Conflict
from gristmill.tasks.lifecycle import TRANSITIONS, Transition, transition_for
from gristmill.tasks.model import (
    Cancelled,
    Completed,
    Failed,
    Json,
    Lost,
    NewTask,
    Outcome,
    Progress,
    Released,
    Retried,
    Task,
    TaskError,
    TaskFilter,
    TaskState,
    Waiting,
)

__all__ = [
    "add_tasks",
    "advance_parent",
    "cancel_tasks",
    "end_attempt",
    "has_state",
    "may_make",
    "move",
    "record",
    "record_each",
    "retry_tasks",
]

_FRESH_TRY: Mapping[str, Any] = {"waiting": False, "worker_id": None, "due": True}


# Built once: building a statement costs more than running it.
_COLUMNS = tuple(column.name for column in tasks.columns)
_Row = cast("Any", namedtuple)("_Row", _COLUMNS)  # noqa: PYI024 - the columns are told in one place
"""A row as it is added, and as it would be read back."""
_ADD = BulkInsert(tasks, *_COLUMNS)
_BY_ID = select(tasks).where(tasks.c.id.in_(bindparam("ids", expanding=True)))
_RECORD = BulkInsert(task_events, "task_id", "at", "name", "attempt", "lease", "worker_id", "detail")
_ADD_ITEMS = BulkInsert(task_items, "task_id", "position", "body")


def may_make(transition: Transition) -> ColumnElement[bool]:
    """Whether a task is in a state that ``transition`` may start from."""
    # Not IN: its list would be rendered anew at each execution, and is not allowed where many rows change at once.
    return or_(*(has_state(source) for source in sorted(transition.sources)))


def has_state(state: TaskState) -> ColumnElement[bool]:
    """Whether a task that is found by other means is in ``state``: a million may be, so it is no way to find any."""
    return tasks.c.state.concat("") == state


@cache
def _ending(name: str, columns: tuple[str, ...]) -> Update:
    """The statement that takes one task along ``name`` and sets ``columns``; built once for each shape it comes in."""
    transition = TRANSITIONS[name]
    return (
        update(tasks)
        .where(tasks.c.id == bindparam("the_id"), may_make(transition))
        .values({column: bindparam(f"new_{column}", type_=tasks.c[column].type) for column in columns})
        .returning(*tasks.c)
    )


@cache
def _advancing(column: str) -> Update:
    return (
        update(tasks)
        .where(tasks.c.id == bindparam("the_id"), tasks.c.waiting)
        .values({column: tasks.c[column] + bindparam("more"), "updated_at": bindparam("now")})
    )


def _open_child() -> Exists:
    child = tasks.alias("child")
    # Without a type: as a boolean, SQLite would be given "(...) = 1", in which it does not see the index of open children.
    is_open: ColumnElement[bool] = literal_column("child.state IN ('pending', 'processing')")
    return exists().select_from(child).where(child.c.parent_id == bindparam("the_id"), is_open)


_IS_READY = select(tasks.c.id).where(tasks.c.id == bindparam("the_id"), tasks.c.waiting, ~_open_child())


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
    return [task_from(row) for row in _add_rows(tx, new_tasks, now)]


def _add_rows(tx: Connection, new_tasks: Sequence[NewTask], now: int) -> list[Any]:
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


def end_attempt(tx: Connection, task: Task, outcome: Outcome, now: int, items_expire_at: int) -> Task:
    """End the attempt that ``task`` describes; the caller has made sure that its lease holds."""
    transition = transition_for(task, outcome)
    values: dict[str, Any] = {"worker_id": None}
    if outcome.progress is not None:
        values |= progress_values(outcome.progress)
    if transition.target.is_final:
        values["finished_at"] = now
    detail: dict[str, Any] = {"worker": task.worker_id}
    values |= _outcome_values(task, outcome, transition.name, now)
    match outcome:
        case Completed(items=items) | Failed(items=items) if items:
            values |= {"item_count": len(items), "items_expire_at": items_expire_at}
            _store_items(tx, task.id, items)
        case Lost(reason=reason) | Released(reason=reason):
            detail["reason"] = reason
    if values.get("error") is not None:
        detail["error"] = values["error"]["code"]
    if isinstance(outcome, Completed | Failed) and outcome.effect:
        answer = outcome.effect(tx)
        if answer is not None:
            values["result"] = {**values.get("result", {}), **answer}
    if transition.name in {"completed", "waiting"} and isinstance(outcome, Completed | Waiting) and outcome.spawn:
        # Before the task waits: a child that runs again is not yet among those its progress counts.
        _spawn(tx, outcome.spawn, now)
    values |= {"state": transition.target, "updated_at": now}
    given = {"the_id": task.id, **{f"new_{column}": value for column, value in values.items()}}
    rows = list(tx.execute(_ending(transition.name, tuple(sorted(values))), given))
    record(tx, rows, transition.name, now, detail)
    if transition.target.is_final:
        if transition.target is TaskState.CANCELLED:
            cancel_tasks(tx, TaskFilter(parent_id=task.id), now)
        if task.parent_id is not None:
            advance_parent(tx, task.parent_id, transition.target, now)
    elif transition.name == "waiting":
        rows = _resume_if_ready(tx, task.id, now) or rows
    return task_from(rows[0])


def _outcome_values(task: Task, outcome: Outcome, transition: str, now: int) -> dict[str, Any]:
    match outcome:
        case Completed(result=result):
            return {"result": dict(result), "error": None}
        case Failed(error=error):
            return {"error": _error_row(error)}
        case Retried(error=error, delay_seconds=delay):
            if transition != "retry_scheduled":
                return {"error": _error_row(error)} if transition == "failed" else {}
            ready_at = now + int(delay * 1_000_000)
            due = ready_at <= now
            later = {"due": due, "scheduled_at": None if due else ready_at, "ready_at": ready_at}
            return {**_FRESH_TRY, **later, "error": _error_row(error)}
        case Lost(reason=reason):
            values: dict[str, Any] = {"crash_count": task.crash_count + 1}
            if transition == "parked":
                parked = TaskError(code="task_parked", facts={"crashes": task.crash_count + 1, "reason": reason})
                return {**values, "error": _error_row(parked)}
            if transition == "worker_lost":
                values |= {**_FRESH_TRY, "ready_at": now, "scheduled_at": None}
            return values
        case Released() if transition == "released":
            return {**_FRESH_TRY, "ready_at": now, "attempt": task.attempt - 1}
        case Waiting(checkpoint=checkpoint) if transition == "waiting":
            return {"waiting": True, "checkpoint": dict(checkpoint)}
        case Cancelled() | Released() | Waiting():
            return {}


def _error_row(error: TaskError) -> dict[str, Any]:
    return {"code": error.code, "facts": dict(error.facts), "type": error.type}


def _store_items(tx: Connection, task_id: str, items: Sequence[Json]) -> None:
    tx.execute(task_items.delete().where(task_items.c.task_id == task_id))
    _ADD_ITEMS(tx, ((task_id, position, dict(body)) for position, body in enumerate(items)))


def _spawn(tx: Connection, spawn: Sequence[NewTask], now: int) -> None:
    ended = [row.id for row in _add_rows(tx, spawn, now) if row.state in (TaskState.FAILED, TaskState.CANCELLED)]
    if ended:
        retry_tasks(tx, TaskFilter(ids=ended), now)


def advance_parent(tx: Connection, parent_id: str, state: TaskState, now: int, *, children: int = 1) -> None:
    """Count ``children`` that ended in ``state`` for their parent, and let it run again if they were the last."""
    column = "done" if state is TaskState.COMPLETED else "failed"
    tx.execute(_advancing(column), {"the_id": parent_id, "more": children, "now": now})
    _resume_if_ready(tx, parent_id, now)


def _resume_if_ready(tx: Connection, parent_id: str, now: int) -> list[Any]:
    if tx.execute(_IS_READY, {"the_id": parent_id}).first() is None:
        return []
    values = {**_FRESH_TRY, "ready_at": now, "scheduled_at": None, "attempt": tasks.c.attempt - 1}
    return move(tx, "resumed", (tasks.c.id == parent_id) & tasks.c.waiting, values, now)


def cancel_tasks(tx: Connection, where: TaskFilter, now: int) -> int:
    """Cancel what waits, ask what runs, through all descendants; see :meth:`TaskStore.request_cancel`."""
    family = select(tasks.c.id).where(matches(where)).cte("family", recursive=True)
    child = tasks.alias("child")
    family = family.union(select(child.c.id).join(family, child.c.parent_id == family.c.id))
    # Resolved before anything changes: the filter may be about the very states that the moves below change.
    ids = [row.id for row in tx.execute(select(family.c.id))]
    changed = 0
    for start in range(0, len(ids), 500):
        batch = tasks.c.id.in_(ids[start : start + 500])
        # Held before the first look: between the two changes below no other may take a task past both. Children first,
        # as an ending child comes to its parent.
        tx.execute(select(tasks.c.id).where(batch).order_by(tasks.c.number.desc()).with_for_update())
        idle = (tasks.c.state == TaskState.PENDING) | tasks.c.waiting
        values = {"finished_at": now, "waiting": False, "cancel_requested": True, "due": True}
        cancelled = move(tx, "cancelled", batch & idle, values, now)
        asked = list(
            tx.execute(
                update(tasks)
                .where(batch, has_state(TaskState.PROCESSING), ~tasks.c.cancel_requested)
                .values(cancel_requested=True, updated_at=now)
                .returning(*tasks.c)
            )
        )
        record(tx, asked, "cancel_requested", now)
        for row in cancelled:
            if row.parent_id is not None:
                advance_parent(tx, row.parent_id, TaskState.CANCELLED, now)
        changed += len(cancelled) + len(asked)
    return changed


def retry_tasks(tx: Connection, where: TaskFilter, now: int) -> list[str]:
    """Make ended tasks pending again; see :meth:`TaskStore.retry`."""
    values = {
        **_FRESH_TRY,
        "attempt": 0,
        "crash_count": 0,
        "cancel_requested": False,
        "scheduled_at": None,
        "ready_at": now,
        "finished_at": None,
        "checkpoint": None,
        "error": None,
        "result": None,
        "item_count": 0,
        "items_expire_at": None,
        **progress_values(Progress()),
    }
    rows = move(tx, "retried", matches(where), values, now)
    for start in range(0, len(rows), 500):
        batch = [row.id for row in rows[start : start + 500]]
        tx.execute(task_items.delete().where(task_items.c.task_id.in_(batch)))
    for row in rows:
        if row.parent_id is not None:
            counted = case((tasks.c.failed > 0, tasks.c.failed - 1), else_=0)
            tx.execute(update(tasks).where(tasks.c.id == row.parent_id, tasks.c.waiting).values(failed=counted))
    return [row.id for row in rows]
