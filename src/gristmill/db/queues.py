"""How much work each queue holds, and how long it has waited: one look at the task rows for whoever watches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, TextClause, func, select, text
from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import task_is_ready, task_is_scheduled, tasks
from gristmill.db.tasks.rows import task_from
from gristmill.tasks.model import Task

__all__ = ["Ended", "QueueDepth", "Queues"]

_MOST_ENDED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """The tasks of one queue, on one engine, that have not ended."""

    queue: str
    engine: str
    ready: int = 0
    """Could be claimed now."""
    scheduled: int = 0
    """Wait for their time."""
    active: int = 0
    """Run, or wait for their children."""
    oldest_ready_at: int | None = None
    """Since when the one that has waited longest could have been claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the latest tasks ended; one that was cancelled is neither."""

    completed: int
    failed: int


class Queues:
    """The queues of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def depths(self) -> Sequence[QueueDepth]:
        """Every queue of every engine that holds a task which has not ended, by name."""
        dialect = self._database.dialect
        ready_rows = _counted(dialect, "state = 'pending' AND due", "tasks_ready_age")
        scheduled_rows = _counted(dialect, "state = 'pending' AND NOT due", "tasks_scheduled")
        active_rows = _counted(dialect, "state = 'processing'")
        with self._database.read() as tx:
            ready = {(row[0], row[1]): (row[2], row[3]) for row in tx.execute(ready_rows)}
            scheduled = {(row[0], row[1]): row[2] for row in tx.execute(scheduled_rows)}
            active = {(row[0], row[1]): row[2] for row in tx.execute(active_rows)}
        return [
            QueueDepth(
                queue=queue,
                engine=engine or "",
                ready=ready.get((queue, engine), (0, None))[0],
                scheduled=scheduled.get((queue, engine), 0),
                active=active.get((queue, engine), 0),
                oldest_ready_at=ready.get((queue, engine), (0, None))[1],
            )
            for queue, engine in sorted({*ready, *scheduled, *active}, key=str)
        ]

    def running(self, *, limit: int) -> Sequence[Task]:
        """Tasks that a worker holds, those that began first at the front."""
        condition = (tasks.c.state == "processing") & tasks.c.worker_id.is_not(None)
        return self._tasks(select(tasks).where(condition).order_by(tasks.c.started_at, tasks.c.number).limit(limit))

    def ready(self, *, limit: int) -> Sequence[Task]:
        """Tasks that wait for a free slot, the most urgent at the front."""
        found: list[Task] = []
        for depth in self.depths():
            if depth.ready:
                # One ordered look into the index for each: to sort all that waits would cost as much as there is.
                mine = (tasks.c.engine == depth.engine) & (tasks.c.queue == depth.queue)
                order = (tasks.c.priority.desc(), tasks.c.number)
                found += self._tasks(select(tasks).where(task_is_ready, mine).order_by(*order).limit(limit))
        return sorted(found, key=lambda task: (-task.priority, task.number))[:limit]

    def scheduled(self, *, limit: int) -> Sequence[Task]:
        """Tasks that wait for their time, the nearest at the front."""
        nearest = select(tasks).where(task_is_scheduled).order_by(tasks.c.scheduled_at).limit(limit)
        return self._tasks(nearest)

    def ended(self, *, within_seconds: float) -> Ended:
        """How the latest tasks ended, a thousand at most, and none that ended before."""
        since = self._clock.now() - int(within_seconds * 1_000_000)
        latest = (
            select(tasks.c.state)
            .where(tasks.c.finished_at > since, tasks.c.state != "cancelled")
            .order_by(tasks.c.finished_at.desc())
            .limit(_MOST_ENDED)
            .subquery()
        )
        with self._database.read() as tx:
            counts = dict(_pairs(tx, select(latest.c.state, func.count()).group_by(latest.c.state)))
        return Ended(completed=counts.get("completed", 0), failed=counts.get("failed", 0))

    def _tasks(self, statement: Select[Any]) -> list[Task]:
        with self._database.read() as tx:
            return [task_from(row) for row in tx.execute(statement)]


@cache
def _counted(dialect: str, condition: str, index: str | None = None) -> TextClause:
    """How many tasks meet ``condition``, and since when one could have been claimed, by queue and engine."""
    # One walk along an index. Left to itself, SQLite looks up every row of the state.
    way = f"INDEXED BY {index}" if index and dialect == "sqlite" else ""
    return text(
        f"SELECT queue, engine, count(*), min(ready_at) FROM tasks {way} WHERE {condition} GROUP BY engine, queue"  # noqa: S608 - made of constants
    )


def _pairs(tx: Connection, statement: Select[Any]) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in tx.execute(statement)]
