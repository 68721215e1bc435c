"""The end of the event log, read so that nothing turns up later before what was read."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text

from gristmill.db.database import Database
from gristmill.db.schema import task_events
from gristmill.db.tasks.rows import event_from
from gristmill.tasks.model import Event

__all__ = ["SqlEventTail"]

_PATIENCE_SECONDS = 30.0
"""A transaction that is open longer than this is not one of ours, which are short: nobody waits for it."""

_LATEST = select(func.max(task_events.c.seq))
_OLDEST = text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")
_FOLLOWING = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Whether numbers up to ``seq`` that are missing will come: not if all transactions before ``ended_by`` have ended."""

    seq: int
    ended_by: int
    since: float


@dataclass(frozen=True, slots=True)
class _Look:
    """What one moment shows."""

    rows: Sequence[Any]
    """The events behind the position, if there is one."""
    latest: int
    """The last number that can be seen, of ``rows`` or of all."""
    oldest: int | None
    """The first transaction that was open; None where there is one writer at a time."""


class SqlEventTail:
    """Implements :class:`gristmill.tasks.ports.EventTail`.

    A number is given when an event is written and seen when it is committed. SQLite has one writer at a time, so the
    order is the same. On Postgres a missing number may belong to a transaction that is still open, and nothing behind
    it is told before that has ended. Every transaction of ours changes a row before it writes an event, so it has its
    own id by the time that it takes a number. Where a number is missing, an id is taken: whoever may still bring that
    number has a smaller one, and once no transaction is open that has, it was rolled back (cf. ``pg_current_snapshot``
    in the manual's chapter on system information). A snapshot alone does not tell: of transactions younger than the
    last that ended it knows nothing, and they may have taken a number all the same.
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
        look = self._look(limit)
        if look.oldest is not None and self._doubt is None and self._misses_some(look):
            with self._database.read() as tx:
                following = tx.execute(_FOLLOWING).scalar_one()
            self._doubt = _Doubt(look.latest, following, self._monotonic())
            look = self._look(limit)
        settled = self._settled(look)
        position = self._position
        if position is None:
            self._position = settled if settled >= 0 else None
            return []
        told = []
        for row in look.rows:
            if row.seq > settled and row.seq != position + 1:
                break
            position = row.seq
            told.append(event_from(row))
        self._position = position
        return told

    def _look(self, limit: int) -> _Look:
        with self._database.read() as tx:
            # Before the events are looked at: the first statement decides what the transaction sees.
            oldest = None if tx.dialect.name == "sqlite" else tx.execute(_OLDEST).scalar_one()
            if self._position is None:
                return _Look((), tx.execute(_LATEST).scalar() or 0, oldest)
            after = select(task_events).where(task_events.c.seq > self._position).order_by(task_events.c.seq)
            rows = tx.execute(after.limit(limit)).all()
        return _Look(rows, rows[-1].seq if rows else self._position, oldest)

    def _misses_some(self, look: _Look) -> bool:
        return self._position is None or look.latest != self._position + len(look.rows)

    def _settled(self, look: _Look) -> int:
        """Up to which number all that will ever come has come."""
        if look.oldest is None:
            return look.latest
        doubt = self._doubt
        if doubt is None:
            return -1
        if look.oldest >= doubt.ended_by or self._monotonic() - doubt.since > _PATIENCE_SECONDS:
            self._doubt = None
            return doubt.seq
        return -1
