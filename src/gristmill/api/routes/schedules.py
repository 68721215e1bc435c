"""Schedules: make tasks recur, look at them, change, pause and run them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.idempotency import IdempotencyKey
from gristmill.api.openapi import answers, problems
from gristmill.api.payloads import checked
from gristmill.api.schemas.schedules import NewScheduleBody, ScheduleChanges, ScheduleList, ScheduleView
from gristmill.api.schemas.tasks import TaskView
from gristmill.app import Gristmill
from gristmill.db.keys import Scope
from gristmill.errors import Forbidden
from gristmill.tasks.schedule import Schedule

__all__ = ["router"]

router = APIRouter(prefix="/api/schedules", tags=["schedules"], route_class=StrictRoute)

_READ_FOLDERS = {"index_source": True, "process_document": False}
"""Kinds that read a path which a client names, and whether that may be a folder."""
_Named = Annotated[str, Path(max_length=200, description="Id or name of a schedule.")]

_VIEW = {
    "id": "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10",
    "name": "nightly",
    "cron": "0 3 * * *",
    "timezone": "Europe/Berlin",
    "every_seconds": None,
    "kind": "index_source",
    "payload": {"source": "/srv/docs", "collection": "handbook"},
    "priority": 5,
    "collection": "handbook",
    "misfire": "once",
    "overlap": "skip",
    "paused": False,
    "next_tick_at": "2026-05-05T01:00:00.000Z",
    "next_ticks": ["2026-05-05T01:00:00.000Z", "2026-05-06T01:00:00.000Z"],
    "last_tick_at": "2026-05-04T01:00:00.000Z",
    "last_task": {
        "id": "0199a1f2-11c0-5f0e-8d5b-b2f6f0d6a001",
        "state": "completed",
        "submitted_at": "2026-05-04T01:00:00.412Z",
    },
    "fired": 12,
    "skipped": 0,
    "missed": 1,
    "error": None,
    "created_at": "2026-04-22T12:00:00.000Z",
    "updated_at": "2026-04-22T12:00:00.000Z",
}
_ONE = {"success": True, "message": "OK", "data": _VIEW}
_REFUSED = (
    "schedule_rule_not_one",
    "cron_field_invalid",
    "cron_fields_not_five",
    "cron_never",
    "interval_invalid",
    "timezone_unknown",
    "schedule_name_invalid",
    "kind_unknown",
    "payload_field_unknown",
    "payload_field_missing",
    "payload_field_type",
    "path_not_found",
)
_MADE = {
    403: ("scope_missing", "schedule_path_refused", "path_outside_roots"),
    409: "schedule_exists",
    415: "content_type_unsupported",
    422: _REFUSED,
}


def _views(app: Gristmill, reply: Reply, schedules: Sequence[Schedule]) -> list[ScheduleView]:
    last = [schedule.last_task_id for schedule in schedules if schedule.last_task_id is not None]
    tasks = {task.id: task for task in app.store.get_many(last)}
    return [
        ScheduleView.of(
            schedule,
            ticks=app.schedules.upcoming(schedule),
            last_task=tasks.get(schedule.last_task_id or ""),
            language=reply.language,
        )
        for schedule in schedules
    ]


def _view(app: Gristmill, reply: Reply, schedule: Schedule) -> ScheduleView:
    return _views(app, reply, [schedule])[0]


def _payload(app: Gristmill, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """``payload`` with the root that allows what it names; which files may be read is decided here, and kept."""
    if payload.get("root") is not None:
        raise Forbidden("schedule_path_refused", field="root")
    source = payload.get("source")
    if kind in _READ_FOLDERS and isinstance(source, str):
        return {**payload, **app.documents.named_source(source, folders=_READ_FOLDERS[kind])}
    return checked(app, kind, payload)


@router.get(
    "",
    summary="List schedules",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": {"schedules": [_VIEW]}}),
)
def list_schedules(app: Service, reply: Reply) -> Envelope[ScheduleList]:
    """All schedules by name."""
    return reply(ScheduleList(schedules=_views(app, reply, app.schedules.all())))


@router.post(
    "",
    status_code=201,
    summary="Make a schedule",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(
        {"success": True, "message": "Made the schedule nightly", "data": _VIEW}, status=201, description="Made"
    )
    | problems(_MADE),
)
def add_schedule(app: Service, reply: Reply, body: NewScheduleBody) -> Envelope[ScheduleView]:
    """Let a task of any kind recur, by a cron rule on the clocks of a time zone or after an interval.

    Each tick submits one task, however many schedulers look.
    """
    given = body.model_dump(exclude={"payload"})
    schedule = app.schedules.add(**given, payload=_payload(app, body.kind, body.payload))
    return reply(_view(app, reply, schedule), "schedule_created", name=schedule.name)


@router.get(
    "/{schedule}",
    summary="Look at a schedule",
    dependencies=[needs(Scope.READ)],
    responses=answers(_ONE) | problems({404: "schedule_not_found"}),
)
def get_schedule(app: Service, reply: Reply, schedule: _Named) -> Envelope[ScheduleView]:
    """One schedule: its latest task, its next ticks, and how many fired, were skipped and were missed."""
    return reply(_view(app, reply, app.schedules.get(schedule)))


@router.patch(
    "/{schedule}",
    summary="Change a schedule",
    dependencies=[needs(Scope.WRITE)],
    responses=answers({"success": True, "message": "Changed the schedule nightly", "data": _VIEW})
    | problems(_MADE | {404: "schedule_not_found"}),
)
def change_schedule(app: Service, reply: Reply, schedule: _Named, body: ScheduleChanges) -> Envelope[ScheduleView]:
    """Change what is given. With another rule or time zone, the next tick is the first of it from now on."""
    changes = body.model_dump(exclude_none=True)
    if body.payload is not None:
        # Changed together: what was checked for one kind must not become the payload of another.
        kind = body.kind or app.schedules.get(schedule).kind
        changes |= {"kind": kind, "payload": _payload(app, kind, body.payload)}
    changed = app.schedules.change(schedule, changes)
    return reply(_view(app, reply, changed), "schedule_changed", name=changed.name)


@router.delete(
    "/{schedule}",
    summary="Remove a schedule",
    dependencies=[needs(Scope.WRITE)],
    responses=answers({"success": True, "message": "Removed the schedule nightly", "data": _VIEW})
    | problems({404: "schedule_not_found"}),
)
def remove_schedule(app: Service, reply: Reply, schedule: _Named) -> Envelope[ScheduleView]:
    """Forget a schedule. The tasks that it submitted stay."""
    removed = app.schedules.remove(schedule)
    return reply(_view(app, reply, removed), "schedule_deleted", name=removed.name)


@router.post(
    "/{schedule}/pause",
    summary="Pause a schedule",
    dependencies=[needs(Scope.WRITE)],
    responses=answers({"success": True, "message": "Paused the schedule nightly", "data": {**_VIEW, "paused": True}})
    | problems({404: "schedule_not_found"}),
)
def pause_schedule(app: Service, reply: Reply, schedule: _Named) -> Envelope[ScheduleView]:
    """Let a schedule tick no more. A task that it has submitted goes on."""
    paused = app.schedules.pause(schedule)
    return reply(_view(app, reply, paused), "schedule_paused", name=paused.name)


@router.post(
    "/{schedule}/resume",
    summary="Resume a schedule",
    dependencies=[needs(Scope.WRITE)],
    responses=answers({"success": True, "message": "The schedule nightly ticks again", "data": _VIEW})
    | problems({404: "schedule_not_found"}),
)
def resume_schedule(app: Service, reply: Reply, schedule: _Named) -> Envelope[ScheduleView]:
    """Let a schedule tick again, from now on."""
    resumed = app.schedules.resume(schedule)
    return reply(_view(app, reply, resumed), "schedule_resumed", name=resumed.name)


@router.post(
    "/{schedule}/run",
    status_code=202,
    summary="Run a schedule now",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(
        {
            "success": True,
            "message": "Submitted task 0199a1f2-11c0-5f0e-8d5b-b2f6f0d6a001",
            "data": {"id": "0199a1f2-11c0-5f0e-8d5b-b2f6f0d6a001", "kind": "index_source", "state": "pending"},
        },
        status=202,
        description="Accepted",
    )
    | problems({404: "schedule_not_found", 409: "idempotency_key_reused"}),
)
def run_schedule(app: Service, reply: Reply, key: IdempotencyKey, schedule: _Named) -> Envelope[TaskView]:
    """Submit the task of a schedule now, paused or not; its ticks stay as they are."""
    task = app.schedules.run(schedule, idempotency_key=key)
    view = TaskView.of(task, language=reply.language, now=app.clock.now())
    return reply(view, "task_submitted", task_id=task.id)
