"""Between task rows and task values: nothing here decides anything."""

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, and_, or_, select, true, type_coerce

from gristmill.db.schema import task_events, tasks, workers
from gristmill.tasks.model import (
    UNDECODABLE,
    Event,
    Json,
    NewTask,
    Progress,
    Task,
    TaskError,
    TaskFilter,
    TaskState,
    Worker,
)

__all__ = ["ELEMENTS", "event_from", "matches", "new_row", "progress_values", "task_from", "worker_from"]

ELEMENTS = {
    "sqlite": "SELECT value FROM json_each(:{name})",
    "postgres": "SELECT jsonb_array_elements_text(CAST(:{name} AS jsonb))",
}
"""The values of a parameter that is a JSON array, for each database: thousands are named at once."""


def task_from(row: Row[Any]) -> Task:
    """The task of a row of ``tasks``."""
    return Task(
        id=row.id,
        number=row.number,
        kind=row.kind,
        queue=row.queue,
        state=TaskState(row.state),
        priority=row.priority,
        payload=_mapping(row.payload),
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        crash_count=row.crash_count,
        lease=row.lease,
        soft_limit_seconds=row.soft_limit_seconds,
        hard_limit_seconds=row.hard_limit_seconds,
        progress=Progress(
            stage=row.stage, unit=row.unit, done=row.done, failed=row.failed, skipped=row.skipped, total=row.total
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
        due=row.due,
        scheduled_at=row.scheduled_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested=row.cancel_requested,
        worker_id=row.worker_id,
        slot=row.slot,
        engine=row.engine,
        parent_id=row.parent_id,
        collection=row.collection,
        user_id=row.user_id,
        idempotency_key=row.idempotency_key,
        request_hash=row.request_hash,
        result=None if row.result is None else _mapping(row.result),
        item_count=row.item_count,
        items_expire_at=row.items_expire_at,
        checkpoint=None if row.checkpoint is None else _mapping(row.checkpoint),
        error=_error_from(row.error),
    )


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {UNDECODABLE: str(value)[:200]}


def _error_from(value: Any) -> TaskError | None:
    try:
        return None if value is None else TaskError(**value)
    except TypeError:
        return TaskError(code="unexpected_error", facts={"error": UNDECODABLE})


def new_row(task: NewTask, now: int) -> dict[str, Any]:
    """The values of a task that was just accepted."""
    due = task.scheduled_at is None or task.scheduled_at <= now
    return {
        "id": task.id,
        "kind": task.kind,
        "queue": task.queue,
        "state": TaskState.PENDING,
        "priority": task.priority,
        "due": due,
        "payload": dict(task.payload),
        "attempt": 0,
        "max_attempts": task.max_attempts,
        "crash_count": 0,
        "lease": 0,
        "soft_limit_seconds": task.soft_limit_seconds,
        "hard_limit_seconds": task.hard_limit_seconds,
        **progress_values(Progress()),
        "created_at": now,
        "updated_at": now,
        "ready_at": now if due else task.scheduled_at,
        "scheduled_at": task.scheduled_at,
        "cancel_requested": False,
        "waiting": False,
        "halts": False,
        "pinned": task.pinned,
        "engine": task.engine,
        "parent_id": task.parent_id,
        "collection": task.collection,
        "user_id": task.user_id,
        "idempotency_key": task.idempotency_key,
        "request_hash": task.request_hash,
        "item_count": 0,
    }


def progress_values(progress: Progress) -> dict[str, Any]:
    """The columns that hold ``progress``."""
    return {
        "stage": progress.stage,
        "unit": progress.unit,
        "done": progress.done,
        "failed": progress.failed,
        "skipped": progress.skipped,
        "total": progress.total,
    }


def event_from(row: Row[Any]) -> Event:
    """The event of a row of ``task_events``."""
    values = {column.name: getattr(row, column.name) for column in task_events.c}
    return Event(**{**values, "detail": _mapping(row.detail)})


def worker_from(row: Row[Any]) -> Worker:
    """The worker of a row of ``workers``."""
    values = {column.name: getattr(row, column.name) for column in workers.c}
    return Worker(**{**values, "queues": tuple(row.queues)})


def _descendants(task_id: str) -> Select[tuple[str]]:
    family = select(tasks.c.id).where(tasks.c.parent_id == task_id).cte("descendants", recursive=True)
    child = tasks.alias("descendant")
    return select(family.union(select(child.c.id).join(family, child.c.parent_id == family.c.id)).c.id)


def matches(where: TaskFilter) -> ColumnElement[bool]:
    """The condition that ``where`` states."""
    columns = tasks.c
    conditions: list[ColumnElement[bool]] = []
    for column, values in (
        (columns.id, where.ids),
        (columns.state, where.states),
        (columns.kind, where.kinds),
        (columns.queue, where.queues),
        (columns.engine, where.engines),
    ):
        if values:
            conditions.append(column.in_(list(values)))
    if where.collection is not None:
        conditions.append(columns.collection == where.collection)
    if where.parent_id is not None:
        conditions.append(columns.parent_id == where.parent_id)
    if where.ancestor_id is not None:
        conditions.append(columns.id.in_(_descendants(where.ancestor_id)))
    if where.created_after is not None:
        conditions.append(columns.created_at > where.created_after)
    if where.created_before is not None:
        conditions.append(columns.created_at < where.created_before)
    if where.text:
        # The JSON text is searched as it is stored, so the column type must not encode the pattern.
        pattern = "%" + where.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        conditions.append(
            or_(
                type_coerce(columns.payload, Text).like(pattern, escape="\\"),
                type_coerce(columns.error, Text).like(pattern, escape="\\"),
            )
        )
    return and_(true(), *conditions)
