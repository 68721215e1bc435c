"""Asynchronous document processing under the addresses and in the form that existing clients know. No logic of its own."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from gristmill.api.auth import needs
from gristmill.api.bodies import SentBody, StrictRoute
from gristmill.api.envelope import Reply
from gristmill.api.gristmill import Service
from gristmill.api.idempotency import IdempotencyKey
from gristmill.api.openapi import answers, form_or_json, problems
from gristmill.api.parameters import TaskId
from gristmill.api.schemas.processing import Accepted, ProcessBody, Processed, ProcessFields, ProcessState
from gristmill.api.validated import validated
from gristmill.app.documents import upload_name
from gristmill.db.keys import Scope
from gristmill.engines.celery_states import celery_state, percent
from gristmill.errors import InvalidInput, NotFound
from gristmill.kinds import without_secrets
from gristmill.tasks.model import Task, TaskState

__all__ = ["router"]

router = APIRouter(prefix="/documents/async", tags=["processing"], route_class=StrictRoute)

_KIND = "process_document"
_TASK_ID = "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10"
_ACCEPTED = {"task_id": _TASK_ID, "status": "PENDING", "message": "Queued Flood plan.pdf for processing"}
_STATE = {
    "task_id": _TASK_ID,
    "status": "SUCCESS",
    "progress": 100,
    "result": {
        "status": "success",
        "filename": "Flood plan.pdf",
        "document_count": 1,
        "documents": [{"page_content": "The warden oils the sluice gate.", "metadata": {"page": 1}}],
        "next_offset": None,
        "message": None,
    },
    "error": None,
    "error_code": None,
}


def _upload_schema() -> dict[str, Any]:
    schema = ProcessFields.model_json_schema()
    properties = {"file": {"type": "string", "format": "binary"}, **schema["properties"]}
    return {**schema, "required": ["file"], "properties": properties}


@router.post(
    "/upload",
    status_code=202,
    summary="Process an upload",
    dependencies=[needs(Scope.WRITE)],
    openapi_extra=form_or_json(form=_upload_schema(), json=None),
    responses=answers(_ACCEPTED, status=202, description="Accepted")
    | problems(
        {
            400: "body_unreadable",
            409: "idempotency_key_reused",
            413: ("file_too_large", "body_too_large"),
            415: "content_type_unsupported",
            422: ("file_missing", "not_a_file", "chunk_overlap_out_of_range"),
        }
    ),
)
def process_upload(app: Service, reply: Reply, key: IdempotencyKey, sent: SentBody) -> Accepted:
    """Parse an uploaded document, and split it if asked; nothing is indexed. Follow it with the id in the answer."""
    if not sent.files:
        code = "not_a_file" if "file" in sent.values else "file_missing"
        raise InvalidInput(code, field="file")
    if len(sent.files) > 1:
        raise InvalidInput("too_many_files", field="file", count=len(sent.files), max_files=1)
    fields = validated(ProcessFields, sent.values)
    part = sent.files[0][1]
    blob_id, _ = app.documents.keep(part.file)
    task = app.documents.process(
        blob_id=blob_id,
        filename=upload_name(part.filename),
        declared_type=part.content_type,
        options=fields.options(),
        priority=fields.priority,
        idempotency_key=key,
    )
    return _accepted(task, reply, upload_name(part.filename))


@router.post(
    "/process",
    status_code=202,
    summary="Process a URL or a path",
    dependencies=[needs(Scope.WRITE)],
    openapi_extra=form_or_json(form=ProcessBody.model_json_schema(), json=ProcessBody.model_json_schema()),
    responses=answers(_ACCEPTED, status=202, description="Accepted")
    | problems(
        {
            400: ("body_unreadable", "body_not_json"),
            403: ("scope_missing", "path_outside_roots"),
            409: "idempotency_key_reused",
            415: "content_type_unsupported",
            422: ("source_missing", "url_invalid", "path_not_found", "chunk_overlap_out_of_range"),
        }
    ),
)
def process_source(app: Service, reply: Reply, key: IdempotencyKey, sent: SentBody) -> Accepted:
    """Parse what is behind a URL, or a file under one of the configured folders, and split it if asked."""
    if sent.files:
        raise InvalidInput("field_unknown", field=sent.files[0][0], known=", ".join(ProcessBody.model_fields))
    body = validated(ProcessBody, sent.values)
    task = app.documents.process(
        source=body.source, options=body.options(), priority=body.priority, idempotency_key=key
    )
    return _accepted(task, reply, without_secrets(body.source).rstrip("/").rpartition("/")[2])


def _accepted(task: Task, reply: Reply, name: str) -> Accepted:
    status = celery_state(task, progress=False)
    return Accepted(task_id=task.id, status=status, message=reply.say("process_queued", name=name))


@router.get(
    "/tasks/{task_id}",
    summary="Follow the processing of a document",
    dependencies=[needs(Scope.READ)],
    responses=answers(_STATE) | problems({404: "task_not_found"}),
)
def get_processing(
    app: Service,
    reply: Reply,
    task_id: TaskId,
    offset: Annotated[int, Query(ge=0, lt=2**31, description="Documents to pass over.")] = 0,
    limit: Annotated[int | None, Query(ge=1, le=100_000, description="Documents per page; by default all.")] = None,
) -> ProcessState:
    """How far the processing is, and what was read once `status` is SUCCESS."""
    task = app.tasks.get(task_id)
    if task.kind != _KIND:
        raise NotFound("task_not_found", task_id=task_id)
    is_done = task.state is TaskState.COMPLETED
    return ProcessState(
        task_id=task.id,
        status=celery_state(task, progress=False),
        progress=percent(task),
        result=_result(app, task, reply, offset=offset, limit=limit) if is_done else None,
        error=None if task.error is None else task.error.message(reply.language),
        error_code=None if task.error is None else task.error.code,
    )


def _result(app: Service, task: Task, reply: Reply, *, offset: int, limit: int | None) -> Processed:
    result = task.result or {}
    documents = [dict(item) for item in app.tasks.items(task.id, offset=offset, limit=limit)]
    end = offset + len(documents)
    is_gone = task.item_count > 0 and task.items_expire_at is None
    return Processed(
        status=result.get("status", "success"),
        filename=result.get("filename"),
        document_count=result.get("document_count", task.item_count),
        documents=documents,
        next_offset=end if documents and end < task.item_count else None,
        message=reply.say("result_expired") if is_gone else None,
    )
