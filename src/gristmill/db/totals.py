"""Running totals of what happened to tasks: how many did what, and how long they waited and ran.

They are worked out from the events, by their ``seq``, and outlive them: history is forgotten, a total never shrinks.
Whoever sweeps adds what is new to the stored totals; whoever reads adds what no sweep has seen yet. The hot path
writes nothing for them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import duty_totals, event_cursors, task_events, task_totals
from gristmill.tasks.lifecycle import TRANSITIONS

__all__ = ["BOUNDS", "CRASHED", "LEASE_LOST", "RUN", "WAIT", "Series", "Times", "TotalCounts", "Totals"]

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper ends, in seconds, of the buckets that times are counted in; a last one has none."""

WAIT, RUN = "wait", "run"
CRASHED, LEASE_LOST = "crashed", "lease_lost"
"""By what an attempt was lost: counted beside the event that tells of it."""

_READER = "totals"
_BATCH = 5_000
_LATEST = 10_000
"""Events that a reader counts for itself; more than this only piles up where nothing sweeps."""
_PER_PASS_SECONDS = 1.0
_GAP_SECONDS = 30.0
"""Numbers are given when an event is written and seen when it is committed: so long a missing one may still come."""

_MICROS = tuple(round(bound * 1_000_000) for bound in BOUNDS)
_ENDLESS = 2**63 - 1
_READY_AGAIN = frozenset({"submitted", "retry_scheduled", "worker_lost", "released", "resumed", "retried"})
_ENDS_A_RUN = frozenset(
    {"completed", "failed", "parked", "cancelled", "retry_scheduled", "worker_lost", "released", "waiting"}
)
_LOST = frozenset({"worker_lost", "parked"})
_SILENT = "heartbeat stopped"
"""What the sweeper says of a worker that it thinks dead; of a process that died, its supervisor says how."""

Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Series:
    """What the totals tell apart: the tasks of one kind on one engine."""

    kind: str
    engine: str


@dataclass(slots=True)
class Times:
    """How often times fell into each bucket, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """One for each of :data:`BOUNDS` and one for what is longer; not cumulative."""
    seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class TotalCounts:
    """All totals at one moment."""

    events: dict[tuple[Series, str], int] = field(default_factory=dict)
    """By series and event, and by what attempts were lost."""
    waits: dict[Series, Times] = field(default_factory=dict)
    """From when a task could have been claimed until it was."""
    runs: dict[Series, Times] = field(default_factory=dict)
    """From the claim to the end of each attempt."""
    duties: dict[str, int] = field(default_factory=dict)
    """What sweeps had to do."""

    def add(self, key: Key, count: int, microseconds: int) -> None:
        """Count in what one row says."""
        kind, engine, measure, bound = key
        series = Series(kind, engine)
        if measure not in (WAIT, RUN):
            self.events[series, measure] = self.events.get((series, measure), 0) + count
            return
        times = (self.waits if measure == WAIT else self.runs).setdefault(series, Times())
        times.counts[bisect_left(_MICROS, bound)] += count
        times.seconds += microseconds / 1_000_000


class _Fold:
    """Adds up events, in the order of their numbers."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.read = 0
        self.counts: Counter[Key] = Counter()
        self.microseconds: Counter[Key] = Counter()

    def add(self, rows: Iterable[Any], now: int) -> None:
        """Add ``rows``, up to where one may be missing."""
        for row in rows:
            if row.seq != self.seq + 1 and row.at > now - _GAP_SECONDS * 1_000_000:
                return
            self.seq = row.seq
            self.read += 1
            # One whose task is forgotten by now says nothing about kinds.
            if row.kind is not None:
                self._count(row)

    def _count(self, row: Any) -> None:
        kind, engine = row.kind, row.engine or ""
        self.counts[kind, engine, row.name, 0] += 1
        if row.name in _LOST:
            silent = isinstance(row.detail, Mapping) and row.detail.get("reason") == _SILENT
            self.counts[kind, engine, LEASE_LOST if silent else CRASHED, 0] += 1
        if row.name == "claimed" and row.before in _READY_AGAIN:
            # When it could be claimed is known from the row, unless it has become ready once more since.
            ready_at = max(row.before_at, row.ready_at) if row.ready_at <= row.at else row.before_at
            self._time(kind, engine, WAIT, row.at - ready_at)
        elif row.name in _ENDS_A_RUN and row.before == "claimed":
            self._time(kind, engine, RUN, row.at - row.before_at)

    def _time(self, kind: str, engine: str, measure: str, microseconds: int) -> None:
        # A clock may have been set back in between.
        microseconds = max(0, microseconds)
        place = bisect_left(_MICROS, microseconds)
        key = (kind, engine, measure, _MICROS[place] if place < len(_MICROS) else _ENDLESS)
        self.counts[key] += 1
        self.microseconds[key] += microseconds


_MOVES = ", ".join(f"'{name}'" for name in TRANSITIONS)
_NEW_EVENTS = text(
    f"""
    SELECT new.seq, new.at, new.name, new.detail, tasks.kind, tasks.engine, tasks.ready_at,
           previous.name AS before, previous.at AS before_at
    FROM (SELECT * FROM task_events WHERE seq > :after ORDER BY seq LIMIT :limit) AS new
    LEFT JOIN tasks ON tasks.id = new.task_id
    LEFT JOIN task_events AS previous ON previous.seq = (
        SELECT earlier.seq FROM task_events AS earlier
        WHERE earlier.task_id = new.task_id AND earlier.seq < new.seq AND earlier.name IN ({_MOVES})
        ORDER BY earlier.seq DESC LIMIT 1)
    ORDER BY new.seq
    """  # noqa: S608 - made of constants
).columns(detail=task_events.c.detail.type)

_ADD = text(
    """
    INSERT INTO task_totals (kind, engine, measure, bound, count, microseconds)
    VALUES (:kind, :engine, :measure, :bound, :count, :microseconds)
    ON CONFLICT (kind, engine, measure, bound) DO UPDATE SET
        count = task_totals.count + excluded.count, microseconds = task_totals.microseconds + excluded.microseconds
    """
)
_ADD_DUTY = text(
    """
    INSERT INTO duty_totals (duty, count) VALUES (:duty, :count)
    ON CONFLICT (duty) DO UPDATE SET count = duty_totals.count + excluded.count
    """
)


class Totals:
    """The totals of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def read(self) -> TotalCounts:
        """The totals as they are, with what happened since they were stored."""
        found = TotalCounts()
        with self._database.read() as tx:
            for kind, engine, measure, bound, count, microseconds in tx.execute(select(task_totals)):
                found.add((kind, engine, measure, bound), count, microseconds)
            found.duties = {row[0]: row[1] for row in tx.execute(select(duty_totals))}
            latest = self._fold(tx, _seq(tx), _LATEST)
        for key, count in latest.counts.items():
            found.add(key, count, latest.microseconds[key])
        return found

    def store(self) -> int:
        """Add the events that are new to the stored totals; how many those were. For the sweeper."""
        until = self._clock.monotonic() + _PER_PASS_SECONDS
        stored = 0
        while True:
            with self._database.read() as tx:
                after = _seq(tx)
                new = self._fold(tx, after, _BATCH)
            if not new.read or not self._database.transact(partial(_stored, new=new, after=after)):
                return stored
            stored += new.read
            if new.read < _BATCH or self._clock.monotonic() > until:
                return stored

    def add_duties(self, done: Mapping[str, int]) -> None:
        """Add what a sweep had to do."""
        if done:
            rows = [{"duty": duty, "count": done[duty]} for duty in sorted(done)]
            with self._database.write() as tx:
                tx.execute(_ADD_DUTY, rows)

    def _fold(self, tx: Connection, after: int, limit: int) -> _Fold:
        fold = _Fold(after)
        fold.add(tx.execute(_NEW_EVENTS, {"after": after, "limit": limit}), self._clock.now())
        return fold


def _seq(tx: Connection) -> int:
    return tx.execute(select(event_cursors.c.seq).where(event_cursors.c.reader == _READER)).scalar() or 0


def _stored(tx: Connection, *, new: _Fold, after: int) -> bool:
    """Add ``new``, unless another has added events behind ``after`` in the meantime."""
    if after == 0:
        if _seq(tx):
            return False
        tx.execute(insert(event_cursors).values(reader=_READER, seq=new.seq))
    else:
        mine = (event_cursors.c.reader == _READER) & (event_cursors.c.seq == after)
        if not tx.execute(update(event_cursors).where(mine).values(seq=new.seq)).rowcount:
            return False
    if new.counts:
        # Always in one order: two that add to the same rows must not wait for each other.
        rows = [
            {
                "kind": key[0],
                "engine": key[1],
                "measure": key[2],
                "bound": key[3],
                "count": count,
                "microseconds": new.microseconds[key],
            }
            for key, count in sorted(new.counts.items())
        ]
        tx.execute(_ADD, rows)
    return True
