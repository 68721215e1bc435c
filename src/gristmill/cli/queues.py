"""How long the queues are and how long their oldest task has waited."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["QueueLength", "queue_lengths"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLength:
    """One queue at one moment."""

    queue: str
    waiting: int
    """Pending and due."""
    scheduled: int
    """Pending, to start later."""
    active: int
    oldest_seconds: float | None


def queue_lengths(app: "Gristmill") -> list[QueueLength]:
    """The queues that kinds route to, and those that hold tasks."""
    from gristmill.db.queues import QueueDepth, Queues

    depths = {depth.queue: depth for depth in Queues(app.database).depths()}
    now = app.clock.now()
    lengths = []
    for queue in sorted({kind.queue for kind in app.kinds.values()} | depths.keys()):
        depth = depths.get(queue) or QueueDepth(queue=queue, ready=0, scheduled=0, active=0, oldest_ready_at=None)
        since = depth.oldest_ready_at
        lengths.append(
            QueueLength(
                queue=queue,
                waiting=depth.ready,
                scheduled=depth.scheduled,
                active=depth.active,
                oldest_seconds=None if since is None else max(0.0, (now - since) / 1_000_000),
            )
        )
    return lengths
