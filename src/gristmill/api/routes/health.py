"""Health: does the process answer, and does work get done."""

from fastapi import APIRouter, Request, Response

import gristmill
from gristmill.api.auth import may_read
from gristmill.api.envelope import Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers
from gristmill.api.schemas.health import Alive, Health
from gristmill.errors import Unavailable
from gristmill.monitoring.presence import live_workers

__all__ = ["router"]

router = APIRouter(prefix="/health", tags=["operation"])


@router.get("/live", summary="Is the process alive", responses=answers({"status": "alive", "version": "0.1.0"}))
async def live() -> Alive:
    """Answers as long as the process does; asks nobody else."""
    return Alive(version=gristmill.__version__)


@router.get(
    "/ready",
    summary="Is everything there",
    responses=answers(
        {"status": "healthy", "reason": None, "active_workers": 1, "worker_names": ["local@mill:4711"]},
        description="The database answers and a worker is alive",
    )
    | answers(
        {"status": "unhealthy", "reason": "No worker is alive.", "active_workers": 0, "worker_names": []},
        status=503,
        description="Something is missing; `reason` says what",
    ),
)
def ready(app: Service, reply: Reply, request: Request, response: Response) -> Health:
    """Whether the database answers and a worker is alive."""
    try:
        workers = live_workers(app.store.workers(), now=app.clock.now(), lease_seconds=app.settings.tasks.lease_seconds)
    except Unavailable as error:
        response.status_code = 503
        return Health(status="unhealthy", reason=error.message(reply.language), active_workers=0, worker_names=[])
    if not workers:
        response.status_code = 503
    return Health(
        status="healthy" if workers else "unhealthy",
        reason=None if workers else reply.say("no_worker"),
        active_workers=len(workers),
        worker_names=[worker.name for worker in workers] if may_read(app, request) else [],
    )
