"""How much work each queue holds, and how long it has waited: one look at the task rows for whoever watches."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select

from gristmill.db.database import Database
from gristmill.db.schema import tasks

__all__ = ["QueueDepth", "Queues"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """The tasks of one queue that have not ended."""

    queue: str
    ready: int
    """Could be claimed now."""
    scheduled: int
    """Wait for their time."""
    active: int
    """Run, or wait for their children."""
    oldest_ready_at: int | None
    """Since when the one that has waited longest could have been claimed."""


class Queues:
    """The queues of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def depths(self) -> Sequence[QueueDepth]:
        """Every queue that holds a task which has not ended, by name."""
        columns = tasks.c
        waits = columns.state == "pending"
        statement = (
            select(
                columns.queue,
                func.count(case((waits & columns.due, 1))).label("ready"),
                func.count(case((waits & ~columns.due, 1))).label("scheduled"),
                func.count(case((~waits, 1))).label("active"),
                func.min(case((waits & columns.due, columns.ready_at))).label("oldest_ready_at"),
            )
            .where(columns.state.in_(["pending", "processing"]))
            .group_by(columns.queue)
            .order_by(columns.queue)
        )
        with self._database.read() as tx:
            return [
                QueueDepth(
                    queue=row.queue,
                    ready=row.ready,
                    scheduled=row.scheduled,
                    active=row.active,
                    oldest_ready_at=row.oldest_ready_at,
                )
                for row in tx.execute(statement)
            ]
