"""What an operator sees and does; ``gristmill inspect`` over HTTP."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers, problems
from gristmill.api.schemas.health import Health
from gristmill.api.schemas.monitor import (
    KindList,
    KindView,
    QueueList,
    QueueView,
    Stats,
    TaskList,
    WorkerList,
    WorkerView,
)
from gristmill.api.schemas.tasks import ChangedTasks, TaskView
from gristmill.app import Gristmill
from gristmill.db.keys import Scope
from gristmill.tasks.model import Task

__all__ = ["router"]

router = APIRouter(prefix="/api/monitor", tags=["operation"], route_class=StrictRoute)

_Limit = Annotated[int, Query(ge=1, le=1000, description="Most tasks to answer with.")]
_WORKER = {
    "id": "0199a1ef-90a1-7f0e-8d5b-b2f6f0d6a001",
    "name": "local@mill:4711",
    "alive": True,
    "engine": "local",
    "queues": ["default", "documents"],
    "slots": 2,
    "host": "mill",
    "pid": 4711,
    "version": "0.1.0",
    "started_at": "2026-05-04T11:00:00.000Z",
    "beat_at": "2026-05-04T12:00:00.000Z",
}
_QUEUE = {"queue": "documents", "waiting": 3, "scheduled": 0, "active": 2, "oldest_seconds": 0.4}
_KIND = {
    "kind": "index_document",
    "queue": "documents",
    "soft_limit_seconds": 1500.0,
    "hard_limit_seconds": 1800.0,
    "max_attempts": 4,
}


def _good(data: Any, message: str = "OK") -> dict[int | str, dict[str, Any]]:
    return answers({"success": True, "message": message, "data": data})


def _listed(app: Gristmill, reply: Any, found: Sequence[Task]) -> Envelope[TaskList]:
    now = app.clock.now()
    views = [TaskView.of(task, language=reply.language, now=now) for task in found]
    envelope: Envelope[TaskList] = reply(TaskList(tasks=views))
    return envelope


@router.get(
    "/health",
    summary="Do tasks get done",
    dependencies=[needs(Scope.READ)],
    responses=_good({"status": "healthy", "reason": None, "active_workers": 1, "worker_names": ["local@mill:4711"]}),
)
def get_health(app: Service, reply: Reply) -> Envelope[Health]:
    """Whether a worker is alive and the engine carries ids to it. `GET /health/ready` says the same by its status."""
    health = app.monitor.health()
    return reply(
        Health(
            status=health.status,
            reason=health.reason(reply.language),
            active_workers=health.active_workers,
            worker_names=list(health.worker_names),
        )
    )


@router.get(
    "/workers",
    summary="List workers",
    dependencies=[needs(Scope.READ)],
    responses=_good({"workers": [_WORKER]}),
)
def list_workers(app: Service, reply: Reply) -> Envelope[WorkerList]:
    """The registered workers. One that died is listed, as not alive, until its tasks were given to others."""
    return reply(WorkerList(workers=[WorkerView.of(seen) for seen in app.monitor.workers()]))


@router.get(
    "/active",
    summary="List running tasks",
    dependencies=[needs(Scope.READ)],
    responses=_good({"tasks": []}),
)
def list_active(app: Service, reply: Reply, limit: _Limit = 100) -> Envelope[TaskList]:
    """Tasks that a worker holds, those that began first at the front."""
    return _listed(app, reply, app.monitor.active(limit=limit))


@router.get(
    "/reserved",
    summary="List ready tasks",
    dependencies=[needs(Scope.READ)],
    responses=_good({"tasks": []}),
)
def list_reserved(app: Service, reply: Reply, limit: _Limit = 100) -> Envelope[TaskList]:
    """Tasks that wait for a free slot, the most urgent at the front."""
    return _listed(app, reply, app.monitor.reserved(limit=limit))


@router.get(
    "/scheduled",
    summary="List scheduled tasks",
    dependencies=[needs(Scope.READ)],
    responses=_good({"tasks": []}),
)
def list_scheduled(app: Service, reply: Reply, limit: _Limit = 100) -> Envelope[TaskList]:
    """Tasks that wait for their time, the nearest at the front."""
    return _listed(app, reply, app.monitor.scheduled(limit=limit))


@router.get(
    "/queues",
    summary="List queues",
    dependencies=[needs(Scope.READ)],
    responses=_good({"queues": [_QUEUE]}),
)
def list_queues(app: Service, reply: Reply) -> Envelope[QueueList]:
    """How long each queue is, and how long the task at its end has waited."""
    return reply(QueueList(queues=[QueueView.of(length) for length in app.monitor.queues()]))


@router.post(
    "/queues/{queue}/purge",
    summary="Purge a queue",
    dependencies=[needs(Scope.WRITE)],
    responses=_good({"count": 12}, "Cancelled 12 tasks of the queue documents") | problems({404: "queue_unknown"}),
)
def purge_queue(
    app: Service, reply: Reply, queue: Annotated[str, Path(max_length=100, description="Its name.")]
) -> Envelope[ChangedTasks]:
    """Cancel every task that waits in a queue. What runs goes on; what is cancelled can be tried again."""
    count = app.monitor.purge(queue)
    return reply(ChangedTasks(count=count), "queue_purged", count=count, queue=queue)


@router.get(
    "/registered",
    summary="List kinds",
    dependencies=[needs(Scope.READ)],
    responses=_good({"kinds": [_KIND]}),
)
def list_registered(app: Service, reply: Reply) -> Envelope[KindList]:
    """The kinds of tasks there are, with their queues and limits as configured."""
    return reply(KindList(kinds=[KindView.of(kind) for kind in app.monitor.registered()]))


@router.get(
    "/stats",
    summary="Workers and tasks in numbers",
    dependencies=[needs(Scope.READ)],
    responses=_good({"workers": 1, "slots": 2, "tasks": {"pending": 3, "completed": 9}}),
)
def get_stats(app: Service, reply: Reply) -> Envelope[Stats]:
    """How many workers are alive, how much they can do at a time, and how many tasks are in each state."""
    alive = app.monitor.live_workers()
    return reply(
        Stats(workers=len(alive), slots=sum(worker.slots for worker in alive), tasks=dict(app.monitor.counts()))
    )
