"""The end of the event log, read so that nothing turns up later before what was read."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.engine import Connection

from gristmill.db.database import Database
from gristmill.db.schema import task_events
from gristmill.db.tasks.rows import event_from
from gristmill.tasks.model import Event

__all__ = ["SqlEventTail"]

_PATIENCE_SECONDS = 30.0
"""A transaction that is open longer than this is not one of ours, which are short: nobody waits for it."""

_LATEST = select(func.max(task_events.c.seq))
_RUNNING = text(
    """
    SELECT CAST(CAST(pg_snapshot_xmin(now) AS text) AS bigint), CAST(CAST(pg_snapshot_xmax(now) AS text) AS bigint)
    FROM pg_current_snapshot() AS now
    """
)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Whether numbers up to ``seq`` that are missing will come: not if all transactions before ``ended_by`` have ended."""

    seq: int
    ended_by: int
    since: float


class SqlEventTail:
    """Implements :class:`gristmill.tasks.ports.EventTail`.

    A number is given when an event is written and seen when it is committed. SQLite has one writer at a time, so the
    order is the same. On Postgres a missing number may belong to a transaction that is still open, and nothing behind
    it is told before that has ended. Every transaction of ours changes a row before it writes an event, so it is known
    to the server by the time that it takes a number: once all those are over that were open when a later number was
    seen, the missing one was rolled back (cf. ``pg_current_snapshot`` in the manual's chapter on system information).
    """

    def __init__(
        self, database: Database, *, after: int | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._monotonic = monotonic
        self._position = after
        self._doubt: _Doubt | None = None

    @property
    def position(self) -> int | None:
        return self._position

    def read(self, *, limit: int = 1000) -> list[Event]:
        with self._database.read() as tx:
            # Before the events are looked at: the first statement decides what the transaction sees.
            oldest, following = self._running(tx)
            position = self._position
            if position is None:
                latest = tx.execute(_LATEST).scalar() or 0
                rows: Sequence[Any] = ()
            else:
                after = select(task_events).where(task_events.c.seq > position).order_by(task_events.c.seq)
                rows = tx.execute(after.limit(limit)).all()
                latest = rows[-1].seq if rows else position
        settled = self._settled(latest, oldest, following)
        if position is None:
            self._position = settled if settled >= 0 else None
            return []
        told = []
        for row in rows:
            if row.seq > settled and row.seq != position + 1:
                break
            position = row.seq
            told.append(event_from(row))
        self._position = position
        return told

    def _running(self, tx: Connection) -> tuple[int, int]:
        """The oldest open transaction, and the one that will be next."""
        if tx.dialect.name == "sqlite":
            return 0, 0
        oldest, following = tx.execute(_RUNNING).one()
        return oldest, following

    def _settled(self, latest: int, oldest: int, following: int) -> int:
        """Up to which number all that will ever come has come."""
        if oldest >= following:
            self._doubt = None
            return latest
        doubt = self._doubt
        now = self._monotonic()
        if doubt is not None and (oldest >= doubt.ended_by or now - doubt.since > _PATIENCE_SECONDS):
            self._doubt = _Doubt(latest, following, now)
            return doubt.seq
        if doubt is None:
            self._doubt = _Doubt(latest, following, now)
        return -1
