"""Health: does the process answer, and does work get done."""

from fastapi import APIRouter, Request, Response

import gristmill
from gristmill.api.auth import may_read
from gristmill.api.envelope import Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers
from gristmill.api.schemas.health import Alive, Health
from gristmill.errors import Unavailable

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
        description="The database answers, a worker is alive and the engine works",
    )
    | answers(
        {"status": "unhealthy", "reason": "No worker is alive.", "active_workers": 0, "worker_names": []},
        status=503,
        description="Something is missing; `reason` says what",
    ),
)
def ready(app: Service, reply: Reply, request: Request, response: Response) -> Health:
    """Whether the database answers, a worker is alive, and the engine carries ids to it."""
    try:
        health = app.monitor.health()
    except Unavailable as error:
        response.status_code = 503
        return Health(status="unhealthy", reason=error.message(reply.language), active_workers=0, worker_names=[])
    if health.status == "unhealthy":
        response.status_code = 503
    return Health(
        status=health.status,
        reason=health.reason(reply.language),
        active_workers=health.active_workers,
        worker_names=list(health.worker_names) if may_read(app, request) else [],
    )
