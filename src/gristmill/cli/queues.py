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
    from sqlalchemy import func, select

    from gristmill.db.schema import tasks

    columns = tasks.c
    statement = (
        select(columns.queue, columns.state, columns.due, func.count(), func.min(columns.ready_at))
        .where(columns.state.in_(["pending", "processing"]))
        .group_by(columns.queue, columns.state, columns.due)
    )
    with app.database.read() as transaction:
        rows = transaction.execute(statement).all()
    now = app.clock.now()
    lengths = []
    for queue in sorted({kind.queue for kind in app.kinds.values()} | {row.queue for row in rows}):
        mine = [row for row in rows if row.queue == queue]
        ready = [row for row in mine if row.state == "pending" and row.due]
        lengths.append(
            QueueLength(
                queue=queue,
                waiting=sum(row[3] for row in ready),
                scheduled=sum(row[3] for row in mine if row.state == "pending" and not row.due),
                active=sum(row[3] for row in mine if row.state == "processing"),
                oldest_seconds=max(0.0, (now - min(row[4] for row in ready)) / 1_000_000) if ready else None,
            )
        )
    return lengths
