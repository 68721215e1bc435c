"""Tasks: submit, look, follow, stop, try again."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request

from gristmill.api.auth import caller_of, needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.cursors import number_of
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.event_stream import EVENT_STREAM, EventStream
from gristmill.api.gristmill import Service
from gristmill.api.idempotency import IdempotencyKey
from gristmill.api.openapi import answers, problems
from gristmill.api.parameters import TaskId
from gristmill.api.payloads import checked
from gristmill.api.schemas.tasks import (
    ChangedTasks,
    EventList,
    EventView,
    NewTaskBody,
    PriorityBody,
    ResultPage,
    TaskCounts,
    TaskPage,
    TaskPageQuery,
    TaskQuery,
    TaskSelection,
    TaskSelectionPriority,
    TaskView,
)
from gristmill.api.schemas.told import told
from gristmill.app import Gristmill
from gristmill.db.keys import Scope
from gristmill.errors import InvalidInput
from gristmill.tasks.feed import Wanted
from gristmill.tasks.model import Task, TaskFilter

__all__ = ["router"]

router = APIRouter(prefix="/api/tasks", tags=["tasks"], route_class=StrictRoute)

_VIEW = {
    "id": "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10",
    "number": 123,
    "kind": "index_document",
    "queue": "documents",
    "engine": None,
    "state": "processing",
    "priority": 5,
    "payload": {"doc_id": 101},
    "progress": 60,
    "progress_detail": {"stage": "embed", "unit": "chunks", "done": 72, "failed": 0, "skipped": 0, "total": 120},
    "eta_seconds": 1.4,
    "attempt": 1,
    "max_attempts": 4,
    "crash_count": 0,
    "lease": 1,
    "cancel_requested": False,
    "created_at": "2026-05-04T12:00:00.000Z",
    "updated_at": "2026-05-04T12:00:03.000Z",
    "scheduled_at": None,
    "started_at": "2026-05-04T12:00:00.020Z",
    "finished_at": None,
    "worker_id": "0199a1ef-90a1-7f0e-8d5b-b2f6f0d6a001",
    "parent_id": None,
    "collection": "default",
    "user_id": None,
    "result": None,
    "item_count": 0,
    "error": None,
}
_ONE = {"success": True, "message": "OK", "data": _VIEW}
_PAGE = {"success": True, "message": "OK", "data": {"tasks": [_VIEW], "next_cursor": None}}
_CHANGED = {"success": True, "message": "Changed 12 tasks", "data": {"count": 12}}
_BULK_PROBLEMS = problems({415: "content_type_unsupported", 422: ("filter_empty", "field_unknown")})


def _view(app: Gristmill, task: Task, reply: Reply) -> TaskView:
    return TaskView.of(task, language=reply.language, now=app.clock.now())


def _page(app: Gristmill, reply: Reply, where: TaskFilter, *, limit: int, cursor: str | None) -> TaskPage:
    found = app.tasks.find(where, limit=limit + 1, before=number_of(cursor))
    page = found[:limit]
    return TaskPage(
        tasks=[_view(app, task, reply) for task in page],
        next_cursor=str(page[-1].number) if len(found) > len(page) else None,
    )


def _selected(selection: TaskSelection) -> TaskFilter:
    where = selection.to_filter()
    if where == TaskFilter(ids=[], states=[], kinds=[], queues=[], engines=[]) and not selection.all:
        raise InvalidInput("filter_empty", field="all")
    return where


@router.get(
    "",
    summary="List tasks",
    dependencies=[needs(Scope.READ)],
    responses=answers(_PAGE) | problems({422: ("cursor_invalid", "field_not_a_choice", "field_not_a_time")}),
)
def list_tasks(app: Service, reply: Reply, query: Annotated[TaskPageQuery, Query()]) -> Envelope[TaskPage]:
    """A page of tasks, newest first."""
    return reply(_page(app, reply, query.to_filter(), limit=query.limit, cursor=query.cursor))


@router.post(
    "",
    status_code=202,
    summary="Submit a task",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(_ONE, status=202, description="Accepted")
    | problems(
        {
            403: ("scope_missing", "payload_path_refused"),
            409: "idempotency_key_reused",
            415: "content_type_unsupported",
            422: ("kind_unknown", "payload_field_unknown", "payload_field_missing", "payload_field_type"),
        }
    ),
)
def submit_task(app: Service, reply: Reply, key: IdempotencyKey, body: NewTaskBody) -> Envelope[TaskView]:
    """Submit a task of any kind. It is durable when this answers."""
    task = app.tasks.submit(
        body.kind,
        checked(app, body.kind, body.payload),
        priority=body.priority,
        delay_seconds=body.delay_seconds,
        collection=body.collection,
        user_id=body.user_id,
        idempotency_key=key,
    )
    return reply(_view(app, task, reply), "task_submitted", task_id=task.id)


@router.get(
    "/counts",
    summary="Count tasks",
    dependencies=[needs(Scope.READ)],
    responses=answers(
        {"success": True, "message": "OK", "data": {"counts": {"pending": 3, "completed": 9}, "total": 12}}
    ),
)
def count_tasks(app: Service, reply: Reply, query: Annotated[TaskQuery, Query()]) -> Envelope[TaskCounts]:
    """How many tasks are in each state; states without any are absent."""
    counts = dict(app.tasks.counts(query.to_filter()))
    return reply(TaskCounts(counts=counts, total=sum(counts.values())))


@router.post(
    "/cancel",
    summary="Cancel tasks",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(_CHANGED) | _BULK_PROBLEMS,
)
def cancel_tasks(app: Service, reply: Reply, selection: TaskSelection) -> Envelope[ChangedTasks]:
    """Ask all matching tasks and their sub-tasks to stop. Those that wait end at once."""
    count = app.tasks.cancel(_selected(selection))
    return reply(ChangedTasks(count=count), "tasks_changed", count=count)


@router.post(
    "/retry",
    summary="Retry tasks",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(_CHANGED) | _BULK_PROBLEMS,
)
def retry_tasks(app: Service, reply: Reply, selection: TaskSelection) -> Envelope[ChangedTasks]:
    """Run all matching tasks that failed or were cancelled again, from the beginning."""
    count = app.tasks.retry(_selected(selection))
    return reply(ChangedTasks(count=count), "tasks_changed", count=count)


@router.post(
    "/priority",
    summary="Change the priority of tasks",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(_CHANGED) | _BULK_PROBLEMS,
)
def prioritise_tasks(app: Service, reply: Reply, selection: TaskSelectionPriority) -> Envelope[ChangedTasks]:
    """Give all matching tasks that have not ended another priority."""
    count = app.tasks.set_priority(_selected(selection), selection.priority)
    return reply(ChangedTasks(count=count), "tasks_changed", count=count)


@router.get(
    "/{task_id}",
    summary="Look at a task",
    dependencies=[needs(Scope.READ)],
    responses=answers(_ONE) | problems({404: "task_not_found"}),
)
def get_task(app: Service, reply: Reply, task_id: TaskId) -> Envelope[TaskView]:
    """One task: its state, how far it is, its summary or why it failed."""
    return reply(_view(app, app.tasks.get(task_id), reply))


@router.patch(
    "/{task_id}",
    summary="Change the priority of a task",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(_ONE) | problems({404: "task_not_found", 415: "content_type_unsupported"}),
)
def patch_task(app: Service, reply: Reply, task_id: TaskId, body: PriorityBody) -> Envelope[TaskView]:
    """Give a task another priority; on one that has ended it has no effect."""
    app.tasks.get(task_id)
    app.tasks.set_priority(TaskFilter(ids=[task_id]), body.priority)
    return reply(_view(app, app.tasks.get(task_id), reply))


@router.post(
    "/{task_id}/cancel",
    summary="Cancel a task",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(_ONE) | problems({404: "task_not_found"}),
)
def cancel_task(app: Service, reply: Reply, task_id: TaskId) -> Envelope[TaskView]:
    """Ask a task and its sub-tasks to stop. One that waits ends at once; one that has ended stays as it is."""
    task = app.tasks.cancel_one(task_id)
    return reply(_view(app, task, reply), "task_cancel_requested", task_id=task_id)


@router.post(
    "/{task_id}/retry",
    summary="Retry a task",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(_ONE) | problems({404: "task_not_found", 409: "task_not_ended"}),
)
def retry_task(app: Service, reply: Reply, task_id: TaskId) -> Envelope[TaskView]:
    """Run a task that failed or was cancelled again, from the beginning."""
    task = app.tasks.retry_one(task_id)
    return reply(_view(app, task, reply), "task_retried", task_id=task_id)


@router.get(
    "/{task_id}/events",
    summary="What happened to a task",
    response_model=Envelope[EventList],
    dependencies=[needs(Scope.READ)],
    responses=answers(
        {
            "success": True,
            "message": "OK",
            "data": {
                "events": [
                    {
                        "seq": 7,
                        "task_id": _VIEW["id"],
                        "at": "2026-05-04T12:00:00.020Z",
                        "name": "claimed",
                        "attempt": 1,
                        "lease": 1,
                        "worker_id": _VIEW["worker_id"],
                        "detail": {},
                    }
                ],
                "next_after": None,
            },
        }
    )
    | problems({404: "task_not_found"}),
)
def get_events(
    app: Service,
    reply: Reply,
    request: Request,
    task_id: TaskId,
    after: Annotated[int, Query(ge=0, lt=2**63, description="Only events behind this `seq`.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Events per page.")] = 1000,
    last_event_id: Annotated[str | None, Header(max_length=40, description="Sent by browsers that come back.")] = None,
) -> Any:
    """Every change of a task, when it happened and on which worker, oldest first.

    Asked for `text/event-stream`, it goes on with what happens from then on, until the task has ended. A browser,
    which can send no key with that, passes `?ticket=` with what `POST /api/tickets` gave.
    """
    if EVENT_STREAM in request.headers.get("accept", ""):
        return EventStream(
            request.app.state.hub,
            Wanted(task_id=task_id),
            language=reply.language,
            cursor=number_of(last_event_id) or after,
            key_id=caller_of(request).key_id,
            is_again=last_event_id is not None,
        )
    found = app.tasks.events(task_id, after=after, limit=limit + 1)
    page = found[:limit]
    more = len(found) > len(page)
    return reply(EventList(events=[EventView.of(event) for event in page], next_after=page[-1].seq if more else None))


@router.get(
    "/{task_id}/children",
    summary="List sub-tasks",
    dependencies=[needs(Scope.READ)],
    responses=answers(_PAGE) | problems({404: "task_not_found", 422: "cursor_invalid"}),
)
def get_children(
    app: Service,
    reply: Reply,
    task_id: TaskId,
    limit: Annotated[int, Query(ge=1, le=500, description="Tasks per page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=40, description="`next_cursor` of the page before.")] = None,
) -> Envelope[TaskPage]:
    """A page of the tasks that a task started, newest first; ask each for its own to walk the tree."""
    app.tasks.get(task_id)
    return reply(_page(app, reply, TaskFilter(parent_id=task_id), limit=limit, cursor=cursor))


@router.get(
    "/{task_id}/result",
    summary="Read a result",
    dependencies=[needs(Scope.READ)],
    responses=answers(
        {
            "success": True,
            "message": "OK",
            "data": {
                "state": "completed",
                "result": {"total": 1, "success": 1, "failed": 0, "skipped": 0},
                "items": [{"doc_id": 1, "status": "completed", "chunks": 12}],
                "item_count": 1,
                "next_offset": None,
                "expired": False,
            },
        }
    )
    | problems({404: "task_not_found"}),
)
def get_result(
    app: Service,
    reply: Reply,
    task_id: TaskId,
    offset: Annotated[int, Query(ge=0, lt=2**31, description="Items to pass over.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Items per page.")] = 1000,
) -> Envelope[ResultPage]:
    """The summary of a task and a page of its items. Items are kept for `tasks.result_expires_seconds`."""
    task = app.tasks.get(task_id)
    items = [told(item, reply.language) for item in app.tasks.items(task_id, offset=offset, limit=limit)]
    end = offset + len(items)
    return reply(
        ResultPage(
            state=task.state,
            result=None if task.result is None else told(task.result, reply.language),
            items=items,
            item_count=task.item_count,
            next_offset=end if items and end < task.item_count else None,
            expired=task.item_count > 0 and task.items_expire_at is None,
        )
    )
