"""Workflows: submit, look, run again from a step. Cancel and retry are those of their tasks."""

from fastapi import APIRouter

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.idempotency import IdempotencyKey
from gristmill.api.openapi import answers, problems
from gristmill.api.parameters import TaskId
from gristmill.api.payloads import check_source
from gristmill.api.schemas.tasks import TaskView
from gristmill.api.schemas.workflows import NewWorkflowBody, RerunBody, WorkflowView
from gristmill.db.keys import Scope

__all__ = ["router"]

router = APIRouter(prefix="/api/workflows", tags=["workflows"], route_class=StrictRoute)

_TASK = {
    "id": "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10",
    "kind": "workflow",
    "state": "pending",
    "progress": 0,
}
_PART = {
    "form": "chain",
    "kind": None,
    "task_id": _TASK["id"],
    "state": "processing",
    "parts": [
        {
            "form": "step",
            "kind": "index_document",
            "task_id": "0199a1f0-8a40-5f8e-8a9c-1c1a8fd0c001",
            "state": "completed",
            "parts": [],
            "omitted": 0,
        },
        {"form": "step", "kind": "ping", "task_id": None, "state": None, "parts": [], "omitted": 0},
    ],
    "omitted": 0,
}


@router.post(
    "",
    status_code=202,
    summary="Submit a workflow",
    dependencies=[needs(Scope.WRITE)],
    responses=answers({"success": True, "message": "Queued", "data": _TASK}, status=202, description="Accepted")
    | problems(
        {
            403: ("scope_missing", "payload_path_refused"),
            409: "idempotency_key_reused",
            415: "content_type_unsupported",
            422: (
                "workflow_node_invalid",
                "workflow_empty",
                "workflow_too_large",
                "workflow_too_deep",
                "workflow_without_previous",
                "workflow_in_step",
                "workflow_reference_bound",
                "workflow_payload_too_deep",
                "kind_unknown",
                "payload_field_unknown",
                "payload_field_missing",
                "payload_field_type",
            ),
        }
    ),
)
def submit_workflow(app: Service, reply: Reply, key: IdempotencyKey, body: NewWorkflowBody) -> Envelope[TaskView]:
    """Submit a chain, a group, or both within each other. It is durable when this answers.

    A payload may use what the step before returned: `{"$previous": "path"}`; a step that lacks an argument gets all of
    it there.
    """
    task = app.workflows.submit(
        body.workflow,
        on_failure=body.on_failure,
        check=check_source,
        priority=body.priority,
        delay_seconds=body.delay_seconds,
        collection=body.collection,
        user_id=body.user_id,
        idempotency_key=key,
    )
    return reply(TaskView.of(task, language=reply.language, now=app.clock.now()), "task_submitted", task_id=task.id)


@router.get(
    "/{task_id}",
    summary="Look at a workflow",
    dependencies=[needs(Scope.READ)],
    responses=answers(
        {
            "success": True,
            "message": "OK",
            "data": {
                "task": _TASK,
                "on_failure": "stop",
                "steps": 2,
                "progress": 50,
                "counts": {"completed": 1},
                "root": _PART,
            },
        }
    )
    | problems({404: ("task_not_found", "workflow_not_found")}),
)
def get_workflow(app: Service, reply: Reply, task_id: TaskId) -> Envelope[WorkflowView]:
    """A workflow with its parts, the tasks that carry them out, and how far all of it is."""
    return reply(WorkflowView.of(app.workflows.state(task_id), language=reply.language, now=app.clock.now()))


@router.post(
    "/{task_id}/rerun",
    status_code=202,
    summary="Run a workflow again from a step",
    dependencies=[needs(Scope.WRITE)],
    responses=answers({"success": True, "message": "Queued", "data": _TASK}, status=202, description="Accepted")
    | problems(
        {
            404: ("task_not_found", "workflow_not_found"),
            409: ("workflow_step_not_completed", "idempotency_key_reused"),
            415: "content_type_unsupported",
            422: "workflow_step_unknown",
        }
    ),
)
def rerun_workflow(
    app: Service, reply: Reply, key: IdempotencyKey, task_id: TaskId, body: RerunBody
) -> Envelope[TaskView]:
    """Submit the steps of a chain from one on as a new workflow; the first gets what the step before returned then."""
    task = app.workflows.rerun(task_id, from_step=body.from_step, idempotency_key=key)
    return reply(TaskView.of(task, language=reply.language, now=app.clock.now()), "task_submitted", task_id=task.id)
