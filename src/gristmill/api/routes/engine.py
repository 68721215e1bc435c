"""The engine: which one gets which share of the tasks, changed while everything runs."""

from fastapi import APIRouter

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers, problems
from gristmill.api.schemas.engine import EngineChange, EngineView
from gristmill.app import Gristmill
from gristmill.db.keys import Scope
from gristmill.db.queues import Queues
from gristmill.errors import InvalidInput

__all__ = ["router"]

router = APIRouter(prefix="/api/engine", tags=["operation"], route_class=StrictRoute)

_VIEW = {
    "name": "rq",
    "ratio": 0.2,
    "changed": True,
    "version": 3,
    "canary": None,
    "engines": {
        "local": {"share": 0.0, "ok": True, "reason": None, "waiting": 0, "running": 0},
        "celery": {"share": 0.2, "ok": True, "reason": None, "waiting": 4, "running": 2},
        "rq": {"share": 0.8, "ok": True, "reason": None, "waiting": 17, "running": 2},
    },
}


@router.get(
    "",
    summary="Look at the engines",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": _VIEW}),
)
def get_engine(app: Service, reply: Reply) -> Envelope[EngineView]:
    """The shares in force, each engine's health, and how much waits and runs on it."""
    return reply(_view(app))


@router.put(
    "",
    summary="Choose the engine",
    dependencies=[needs(Scope.ADMIN)],
    responses=answers({"success": True, "message": "OK", "data": _VIEW})
    | problems({400: ["engine_needs_redis", "engine_change_not_one"], 409: "control_changed"}),
)
def change_engine(app: Service, reply: Reply, change: EngineChange) -> Envelope[EngineView]:
    """Give all tasks to one engine, a share to Celery, or let an engine prove itself step by step.

    Waiting tasks of an engine that has no share any more move at once; what runs goes on where it runs.
    """
    if sum(value is not None for value in (change.name, change.ratio, change.canary)) != 1:
        raise InvalidInput("engine_change_not_one")
    if change.name is not None:
        app.engines.use(change.name)
    elif change.ratio is not None:
        app.engines.set_ratio(change.ratio)
    elif change.canary is not None:
        rules = change.canary.model_dump(exclude={"engine"}, exclude_none=True)
        if "steps" in rules:
            rules["steps"] = tuple(rules["steps"])
        app.engines.start_canary(change.canary.engine, **rules)
    app.sweeper.reassign()
    return reply(_view(app))


def _view(app: Gristmill) -> EngineView:
    return EngineView.model_validate(app.engines.described(Queues(app.database, app.clock).depths()))
