"""Ends one attempt inside an open transaction: its outcome is written, and its family hears of it."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Update, bindparam, select, update
from sqlalchemy.engine import Connection

from gristmill.db.bulk import BulkInsert
from gristmill.db.schema import task_items, tasks
from gristmill.db.tasks.families import (
    advance_parent,
    cancel_tasks,
    count_ended,
    generations,
    halt_after_failure,
    resume_if_ready,
    spawn,
)
from gristmill.db.tasks.moves import FRESH_TRY, may_make, record
from gristmill.db.tasks.rows import progress_values, task_from
from gristmill.tasks.lifecycle import TRANSITIONS, transition_for
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

__all__ = ["end_attempt"]

_BY_ID = select(tasks).where(tasks.c.id == bindparam("the_id"))
_ADD_ITEMS = BulkInsert(task_items, "task_id", "position", "body")


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
    match outcome:
        case Completed(spawn=children) if children:
            spawn(tx, children, now)
        case Waiting(spawn=children) if children and transition.name == "waiting":
            values |= progress_values(_begin(tx, children, outcome.progress or task.progress, now))
    values |= {"state": transition.target, "updated_at": now}
    given = {"the_id": task.id, **{f"new_{column}": value for column, value in values.items()}}
    rows = list(tx.execute(_ending(transition.name, tuple(sorted(values))), given))
    record(tx, rows, transition.name, now, detail)
    if transition.target.is_final:
        if transition.target is TaskState.CANCELLED:
            cancel_tasks(tx, TaskFilter(parent_id=task.id), now)
        if task.parent_id is not None:
            ended = outcome.progress or task.progress
            advance_parent(tx, task.parent_id, transition.target, now, children=[ended])
    elif transition.name == "waiting":
        rows = resume_if_ready(tx, task.id, now) or rows
        if values["halts"] and halt_after_failure(tx, task.id, now):
            rows = list(tx.execute(_BY_ID, {"the_id": task.id}))
    elif task.parent_id is not None and halt_after_failure(tx, task.parent_id, now):
        # It goes back to those that have not begun.
        rows = list(tx.execute(_BY_ID, {"the_id": task.id}))
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
            return {**FRESH_TRY, **later, "error": _error_row(error)}
        case Lost(reason=reason):
            values: dict[str, Any] = {"crash_count": task.crash_count + 1}
            if transition == "parked":
                parked = TaskError(code="task_parked", facts={"crashes": task.crash_count + 1, "reason": reason})
                return {**values, "error": _error_row(parked)}
            if transition == "worker_lost":
                values |= {**FRESH_TRY, "ready_at": now, "scheduled_at": None}
            return values
        case Released() if transition == "released":
            return {**FRESH_TRY, "ready_at": now, "attempt": task.attempt - 1}
        case Waiting(checkpoint=checkpoint, halts=halts) if transition == "waiting":
            return {"waiting": True, "checkpoint": dict(checkpoint), "halts": halts}
        case Cancelled() | Released() | Waiting():
            return {}


def _error_row(error: TaskError) -> dict[str, Any]:
    return {"code": error.code, "facts": dict(error.facts), "type": error.type}


def _store_items(tx: Connection, task_id: str, items: Sequence[Json]) -> None:
    tx.execute(task_items.delete().where(task_items.c.task_id == task_id))
    _ADD_ITEMS(tx, ((task_id, position, dict(body)) for position, body in enumerate(items)))


def _begin(tx: Connection, children: Sequence[NewTask], progress: Progress, now: int) -> Progress:
    """Add the last of ``children``, before their parent waits; its progress with those that ended meanwhile."""
    # A child that runs again is open by then, and counts when it ends.
    spawn(tx, generations(children)[-1], now)
    return count_ended(tx, [child.id for child in children], progress)
