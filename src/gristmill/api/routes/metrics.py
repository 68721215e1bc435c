"""Metrics for Prometheus."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from gristmill.api.auth import needs
from gristmill.api.gristmill import Service
from gristmill.db.keys import Scope
from gristmill.monitoring.metrics import CONTENT_TYPE

__all__ = ["router"]

router = APIRouter(tags=["operation"])

_EXAMPLE = """\
# HELP gristmill_tasks Tasks that have not ended, by state.
# TYPE gristmill_tasks gauge
gristmill_tasks{state="pending"} 3.0
"""


@router.get(
    "/metrics",
    summary="Metrics",
    dependencies=[needs(Scope.READ)],
    response_class=PlainTextResponse,
    responses={200: {"description": "Prometheus text", "content": {"text/plain": {"example": _EXAMPLE}}}},
)
def get_metrics(app: Service) -> PlainTextResponse:
    """Queues, workers, alerts, and what happened to tasks so far with how long it took, as Prometheus reads them."""
    return PlainTextResponse(app.metrics.text(), media_type=CONTENT_TYPE)
