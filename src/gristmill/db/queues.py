"""How much work waits in each queue, and for how long: one look at the task rows for whoever watches."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select

from gristmill.db.database import Database
from gristmill.db.schema import tasks

__all__ = ["QueueDepth", "Queues"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """The waiting tasks of one queue."""

    queue: str
    ready: int
    """Could be claimed now."""
    scheduled: int
    """Wait for their time."""
    oldest_ready_at: int | None
    """Since when the one that has waited longest could have been claimed."""


class Queues:
    """The queues of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def depths(self) -> Sequence[QueueDepth]:
        """Every queue in which something waits, by name."""
        columns = tasks.c
        statement = (
            select(
                columns.queue,
                func.count(case((columns.due, 1))).label("ready"),
                func.count(case((~columns.due, 1))).label("scheduled"),
                func.min(case((columns.due, columns.ready_at))).label("oldest_ready_at"),
            )
            .where(columns.state == "pending")
            .group_by(columns.queue)
            .order_by(columns.queue)
        )
        with self._database.read() as tx:
            return [
                QueueDepth(
                    queue=row.queue, ready=row.ready, scheduled=row.scheduled, oldest_ready_at=row.oldest_ready_at
                )
                for row in tx.execute(statement)
            ]
