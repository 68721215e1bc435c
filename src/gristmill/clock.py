"""The one way to read the time, so that tests can own it.

Stored times are whole microseconds since the Unix epoch, UTC: the same precision in every database.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock", "from_micros", "to_rfc3339"]


class Clock(Protocol):
    """A source of time."""

    def now(self) -> int:
        """Wall-clock time in microseconds since the epoch; may jump in either direction."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards; only differences mean anything."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()


def from_micros(micros: int) -> datetime:
    """The aware UTC time of ``micros``."""
    return datetime.fromtimestamp(micros / 1_000_000, tz=UTC)


def to_rfc3339(micros: int | None) -> str | None:
    """``micros`` as RFC 3339 text with a ``Z``, or None."""
    if micros is None:
        return None
    return from_micros(micros).isoformat(timespec="milliseconds").replace("+00:00", "Z")
