"""Alerts: what somebody should know of."""

from typing import Annotated

from fastapi import APIRouter, Query

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers
from gristmill.api.schemas.monitor import AlertList, AlertView
from gristmill.db.keys import Scope

__all__ = ["router"]

router = APIRouter(prefix="/api/alerts", tags=["operation"], route_class=StrictRoute)

_ALERT = {
    "id": "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10",
    "rule": "no_worker",
    "severity": "critical",
    "subject": "",
    "state": "firing",
    "message": "No worker is alive; 3 tasks wait. Start one: gristmill up, or gristmill worker.",
    "facts": {"waiting": 3},
    "fired_at": "2026-05-04T12:00:00.000Z",
    "resolved_at": None,
}


@router.get(
    "",
    summary="List alerts",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": {"alerts": [_ALERT]}}),
)
def list_alerts(
    app: Service,
    reply: Reply,
    resolved: Annotated[bool, Query(description="Also those that are over; they are kept for 30 days.")] = False,  # noqa: FBT002 - a query parameter
    limit: Annotated[int, Query(ge=1, le=1000, description="Most of those that are over.")] = 100,
) -> Envelope[AlertList]:
    """The alerts that hold at the moment, those that fired last at the front."""
    found = app.alerts.latest(limit=limit) if resolved else app.alerts.firing()
    return reply(AlertList(alerts=[AlertView.of(alert, reply.language) for alert in found]))
