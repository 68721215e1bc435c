"""Indexing by id: queued when there is much to do, answered when done when there is little."""

from typing import Any

from fastapi import APIRouter, Request, Response

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.idempotency import IdempotencyKey
from gristmill.api.openapi import answers, problems
from gristmill.api.parameters import TaskId
from gristmill.api.schemas.index import CeleryResult, IndexBody, Indexed, Queued, TaskStatus
from gristmill.api.schemas.told import told
from gristmill.api.waiting import WaitingRoom
from gristmill.app import Gristmill
from gristmill.clock import to_rfc3339
from gristmill.db.keys import Scope
from gristmill.engines.celery_states import celery_state, percent
from gristmill.errors import Conflict, error_from
from gristmill.tasks.model import Task, TaskState

__all__ = ["router"]

router = APIRouter(prefix="/api/index", tags=["index"], route_class=StrictRoute)

_TASK_TYPES = {"batch_index": "batch", "index_document": "index", "delete_index": "delete"}
_WORDS = {
    "PENDING": "status_pending",
    "RETRY": "status_retry",
    "STARTED": "status_started",
    "PROGRESS": "status_progress",
    "SUCCESS": "status_success",
    "FAILURE": "status_failure",
    "REVOKED": "status_revoked",
}
_TASK_ID = "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10"
_QUEUED = {
    "success": True,
    "message": "Queued 5 documents",
    "data": {"task_id": _TASK_ID, "doc_ids": [1, 2, 3, 4, 5], "status": "queued", "mode": "local"},
}
_INDEXED = {
    "success": True,
    "message": "Indexed: 1 ok, 0 failed",
    "data": {
        "total": 1,
        "success": 1,
        "failed": 0,
        "skipped": 0,
        "details": [{"doc_id": 1, "status": "completed", "chunks": 12, "embedded": 12, "reused": 0, "deleted": 0}],
        "task_id": _TASK_ID,
        "mode": "sync",
    },
}
_STATUS: dict[str, Any] = {
    "success": True,
    "message": "OK",
    "data": {
        "id": 123,
        "task_id": _TASK_ID,
        "task_type": "batch",
        "status": "processing",
        "priority": 5,
        "progress": 60,
        "created_at": "2026-05-04T12:00:00.000Z",
        "started_at": "2026-05-04T12:00:00.020Z",
        "updated_at": "2026-05-04T12:00:03.000Z",
        "completed_at": None,
        "celery_state": "PROGRESS",
        "celery_result": {"progress": 60, "current": 3, "total": 5, "status": "Processing 3/5"},
        "result": None,
        "error": None,
    },
}


@router.post(
    "/index-documents",
    summary="Index documents",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(_INDEXED, description="Few documents: done")
    | answers(_QUEUED, status=202, description="Many documents, or not done within the wait: queued")
    | problems({409: ("idempotency_key_reused", "task_was_cancelled"), 415: "content_type_unsupported"}),
    response_model=None,
)
def index_documents(
    app: Service, reply: Reply, key: IdempotencyKey, body: IndexBody, request: Request, response: Response
) -> Envelope[Indexed] | Envelope[Queued]:
    """Index registered documents; those that have not changed are skipped unless `force` is set.

    Fewer documents than `index.sync_threshold` (5) are answered when done, with an entry per document; more, or those
    that take longer than `index.sync_wait_seconds`, are queued and answered with 202 and the id of the task.
    A document that fails is told of in its entry and does not stop the others.
    """
    doc_ids = list(dict.fromkeys(body.doc_ids))
    task = app.documents.index(
        doc_ids, force=body.force, priority=body.priority, user_id=body.user_id, idempotency_key=key
    )
    limits = app.settings.index
    if len(doc_ids) < limits.sync_threshold:
        room: WaitingRoom = request.app.state.waiting_room
        with room.seat() as has_seat:
            task = app.tasks.wait(task.id, timeout_seconds=limits.sync_wait_seconds if has_seat else 0.0)
        if task.state.is_final:
            indexed = _indexed(app, task, reply)
            return reply(indexed, "documents_indexed", ok=indexed.success, failed=indexed.failed)
    response.status_code = 202
    queued = Queued(task_id=task.id, doc_ids=doc_ids, mode=task.engine or app.tasks.engine.name)
    return reply(queued, "documents_queued", count=len(doc_ids))


def _indexed(app: Gristmill, task: Task, reply: Reply) -> Indexed:
    if task.state is TaskState.CANCELLED:
        raise Conflict("task_was_cancelled", task_id=task.id)
    if task.error is not None:
        raise error_from(task.error.type, task.error.code, {**task.error.facts, "task_id": task.id})
    result = task.result or {}
    return Indexed(
        total=result.get("total", 0),
        success=result.get("success", 0),
        failed=result.get("failed", 0),
        skipped=result.get("skipped", 0),
        details=[told(item, reply.language) for item in app.tasks.items(task.id)],
        task_id=task.id,
    )


@router.get(
    "/task/{task_id}",
    summary="Follow an indexing task",
    dependencies=[needs(Scope.READ)],
    responses=answers(_STATUS) | problems({404: "task_not_found"}),
)
def get_index_task(app: Service, reply: Reply, task_id: TaskId) -> Envelope[TaskStatus]:
    """How far a task is. `celery_state` and `celery_result` are derived from our own state, on every engine."""
    task = app.tasks.get(task_id)
    state = celery_state(task, progress=True)
    current, total = task.progress.processed, task.progress.total
    words = reply.say(_WORDS[state], current=current, total=total)
    return reply(
        TaskStatus(
            id=task.number,
            task_id=task.id,
            task_type=_TASK_TYPES.get(task.kind, task.kind),
            status=task.state.value,
            priority=task.priority,
            progress=percent(task),
            created_at=to_rfc3339(task.created_at) or "",
            started_at=to_rfc3339(task.started_at),
            updated_at=to_rfc3339(task.updated_at) or "",
            completed_at=to_rfc3339(task.finished_at),
            celery_state=state,
            celery_result=CeleryResult(progress=percent(task), current=current, total=total, status=words),
            result=None if task.result is None else told(task.result, reply.language),
            error=None if task.error is None else task.error.message(reply.language),
        )
    )
