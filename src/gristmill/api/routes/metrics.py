"""Metrics for Prometheus."""

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

import gristmill
from gristmill.api.auth import needs
from gristmill.api.gristmill import Service
from gristmill.app import Gristmill
from gristmill.db.keys import Scope
from gristmill.db.queues import Queues
from gristmill.kinds import QUEUES
from gristmill.monitoring.metrics import CONTENT_TYPE, Metric, Sample, exposition
from gristmill.tasks.model import TaskState

__all__ = ["router"]

router = APIRouter(tags=["operation"])

_EXAMPLE = """\
# HELP gristmill_tasks Tasks by state.
# TYPE gristmill_tasks gauge
gristmill_tasks{state="pending"} 3
"""


@router.get(
    "/metrics",
    summary="Metrics",
    dependencies=[needs(Scope.READ)],
    response_class=PlainTextResponse,
    responses={200: {"description": "Prometheus text", "content": {"text/plain": {"example": _EXAMPLE}}}},
)
def get_metrics(app: Service) -> PlainTextResponse:
    """Tasks by state, how much waits in each queue and for how long, and the workers, as Prometheus reads them."""
    return PlainTextResponse(exposition(_metrics(app)), media_type=CONTENT_TYPE)


def _metrics(app: Gristmill) -> Iterator[Metric]:
    now = app.clock.now()
    counts = app.tasks.counts()
    depths = {depth.queue: depth for depth in Queues(app.database).depths()}
    queues = [*QUEUES, *sorted(set(depths) - set(QUEUES))]
    yield Metric(
        name="gristmill_info",
        help="The version that answers.",
        samples=[Sample(value=1, labels={"version": gristmill.__version__})],
    )
    yield Metric(
        name="gristmill_tasks",
        help="Tasks by state.",
        samples=[Sample(value=counts.get(state, 0), labels={"state": state.value}) for state in TaskState],
    )
    yield Metric(
        name="gristmill_queue_ready_tasks",
        help="Tasks that wait for a worker, by queue.",
        samples=[
            Sample(value=depths[queue].ready if queue in depths else 0, labels={"queue": queue}) for queue in queues
        ],
    )
    yield Metric(
        name="gristmill_queue_scheduled_tasks",
        help="Tasks that wait for their time, by queue.",
        samples=[
            Sample(value=depths[queue].scheduled if queue in depths else 0, labels={"queue": queue}) for queue in queues
        ],
    )
    yield Metric(
        name="gristmill_queue_oldest_seconds",
        help="How long the task that waits longest for a worker has waited, by queue.",
        samples=[
            Sample(value=_age(depths[queue].oldest_ready_at if queue in depths else None, now), labels={"queue": queue})
            for queue in queues
        ],
    )
    workers = app.store.workers()
    yield Metric(name="gristmill_workers", help="Workers that are registered.", samples=[Sample(value=len(workers))])
    yield Metric(
        name="gristmill_worker_slots",
        help="Tasks that all workers together can run at a time.",
        samples=[Sample(value=sum(worker.slots for worker in workers))],
    )
    yield Metric(
        name="gristmill_worker_beat_age_seconds",
        help="Time since each worker's last heartbeat.",
        samples=[Sample(value=_age(worker.beat_at, now), labels={"worker": worker.name}) for worker in workers],
    )


def _age(since: int | None, now: int) -> float:
    return 0.0 if since is None else max(0.0, (now - since) / 1_000_000)
