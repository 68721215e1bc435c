"""Claims whose answer was lost with the connection to the server: nobody knows whether they were carried out.

One that was holds its tasks for a worker that lives and does not know of them, so that nobody would ever run them.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select

from gristmill.db.database import Database
from gristmill.db.schema import tasks
from gristmill.db.tasks.rows import task_from
from gristmill.errors import Unavailable
from gristmill.tasks.model import Task, TaskState

__all__ = ["Unanswered"]

_KEPT_SECONDS = 60.0
"""A server that is slow may yet carry out what was asked over a connection that we gave up."""


@dataclass(frozen=True, slots=True)
class _Claim:
    at: int
    """When it was made, which is what its tasks say of their start."""
    kept_until: float


class Unanswered:
    """The claims of this process that were not answered, by worker and slot."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claims: dict[tuple[str, int], list[_Claim]] = {}

    @contextmanager
    def asked(self, worker_id: str, slot: int, now: int) -> Iterator[None]:
        """Around a claim made at ``now``: remember it if the database does not answer."""
        try:
            yield
        except Unavailable:
            kept_until = time.monotonic() + _KEPT_SECONDS
            self._claims.setdefault((worker_id, slot), []).append(_Claim(at=now, kept_until=kept_until))
            raise

    def carried_out(self, worker_id: str, slot: int, ids: Sequence[str] | None) -> list[Task]:
        """The tasks of a claim that turns out to have been carried out, each once; of these ``ids``, if any are given."""
        claims = self._claims.pop((worker_id, slot), [])
        left = [claim for claim in claims if time.monotonic() < claim.kept_until]
        if not left:
            return []
        self._claims[worker_id, slot] = left
        statement = select(tasks).where(
            tasks.c.worker_id == worker_id,
            tasks.c.slot == slot,
            tasks.c.state == TaskState.PROCESSING,
            tasks.c.started_at.in_([claim.at for claim in left]),
        )
        if ids is not None:
            statement = statement.where(tasks.c.id.in_(ids))
        with self._database.read() as tx:
            found = [task_from(row) for row in tx.execute(statement.order_by(tasks.c.priority.desc(), tasks.c.number))]
        starts = {task.started_at for task in found}
        self._claims[worker_id, slot] = [claim for claim in left if claim.at not in starts]
        return found
