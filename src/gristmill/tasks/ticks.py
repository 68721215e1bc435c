"""The rules of schedules, and the ticks they make: cron expressions on the clock of a time zone, and intervals.

Reads no clock: times go in and come out as microseconds since the epoch.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from gristmill.clock import from_micros
from gristmill.errors import InvalidInput

__all__ = ["Cron", "Every", "Rule", "following", "read_cron", "read_interval", "ticks"]

_SHORT_FOR = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_OF_EACH_MACHINE = {"localtime", "posixrules"}
"""Names that mean another zone on another machine."""
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_MOST_CHARS = 200
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_INTERVAL = re.compile(r"(\d{1,9})\s*([smhd]?)", re.ASCII)
_LONGEST_SECONDS = 10 * 366 * 24 * 3600
_ANY_SUNDAY = datetime(2023, 1, 1)  # noqa: DTZ001 - where a search may begin; no time of anything


@dataclass(frozen=True, slots=True)
class Cron:
    """Whenever the clocks of ``timezone`` show what the five fields of ``expression`` say."""

    expression: str
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Every:
    """Again and again after ``seconds``, whatever any clock shows."""

    seconds: int


Rule: TypeAlias = Cron | Every


def read_cron(expression: str, timezone: str) -> Cron:
    """The rule that somebody wrote, checked and spelled out.

    :class:`InvalidInput` names the field that cannot be read (``cron_field_invalid``), another number of fields
    (``cron_fields_not_five``), a date that never comes (``cron_never``) or a zone nobody knows (``timezone_unknown``).
    """
    fields = _SHORT_FOR.get(expression.strip().lower(), expression[:_MOST_CHARS]).split()
    if len(fields) != len(_FIELDS) or len(expression) > _MOST_CHARS:
        raise InvalidInput("cron_fields_not_five", field="cron", value=expression[:_MOST_CHARS], count=len(fields))
    for place, text in enumerate(fields):
        try:
            CronSim(" ".join(text if other == place else "*" for other in range(len(_FIELDS))), _ANY_SUNDAY)
        except CronSimError as error:
            facts = {"value": expression, "place": place + 1, "part": _FIELDS[place], "text": text}
            raise InvalidInput("cron_field_invalid", field="cron", **facts) from error
    cron = Cron(" ".join(fields), timezone)
    _zone(timezone)
    try:
        comes = next(CronSim(cron.expression, _ANY_SUNDAY), None) is not None
    except CronSimError:
        comes = False
    if not comes:
        raise InvalidInput("cron_never", field="cron", value=expression)
    return cron


def read_interval(written: str | int) -> Every:
    """Seconds, or a number with a unit: ``90s``, ``15m``, ``2h``, ``1d``; :class:`InvalidInput` (``interval_invalid``)."""
    found = _INTERVAL.fullmatch(str(written).strip().lower())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 1 <= seconds <= _LONGEST_SECONDS:
        raise InvalidInput("interval_invalid", field="every", value=str(written)[:_MOST_CHARS])
    return Every(seconds)


def ticks(rule: Rule, since: int) -> Iterator[int]:
    """The ticks after ``since``, the earliest first, without end; an interval is counted from ``since`` on."""
    if isinstance(rule, Every):
        step = rule.seconds * 1_000_000
        tick = since + step
        while True:
            yield tick
            tick += step
    yield from map(_micros, _cron_ticks(rule, from_micros(since)))


def following(rule: Rule, tick: int, now: int) -> int:
    """The first tick after ``now``, in the series that ``tick`` belongs to."""
    if isinstance(rule, Every):
        step = rule.seconds * 1_000_000
        return tick + max(0, (now - tick) // step + 1) * step
    return next(ticks(rule, now))


def _cron_ticks(rule: Cron, since: datetime) -> Iterator[datetime]:
    """What cron users expect where the clocks change.

    A rule with a star for the minute or the hour follows the time that goes by: it ticks whenever the clocks show what
    it says, twice in an hour that comes twice. Any other is about a time of the day: that comes once, when the clocks
    show it for the first time, or go past it.
    """
    zone = _zone(rule.timezone)
    goes_by = any(field.startswith("*") for field in rule.expression.split()[:2])
    local = since.astimezone(zone).replace(tzinfo=None)
    first, second = _both(local, zone)
    last = since
    again: deque[datetime] = deque()
    # Nobody knows yet whether what was shown before in an hour that comes twice is still to come again.
    for shown in CronSim(rule.expression, local - max(timedelta(), second - first)):
        first, second = _both(shown, zone)
        if second < first and goes_by:
            continue
        if second < first:
            first = second = _end_of_gap(zone, second, first)
        while again and again[0] < first:
            yield again.popleft()
        if first > last:
            last = first
            yield first
        if goes_by and second > first and second > last:
            again.append(second)


def _both(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """When clocks show ``local``: equal as a rule; in that order where it comes twice, the other way round if never."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def _end_of_gap(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The moment between the two at which the clocks of ``zone`` are put forward, to the second."""
    offset = before.astimezone(zone).utcoffset()
    seconds = int((after - before).total_seconds())
    low, high = 0, seconds
    while low < high:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            low = middle + 1
        else:
            high = middle
    return before + timedelta(seconds=low)


@lru_cache
def _zone(name: str) -> tzinfo:
    try:
        if name not in _OF_EACH_MACHINE:
            return ZoneInfo(name)
        unknown = None
    except (ValueError, OSError, KeyError) as error:
        unknown = error
    places = sorted(zone for zone in available_timezones() if "/" in zone)
    near = get_close_matches(name[:_MOST_CHARS], places, n=1) or ["Europe/Berlin"]
    raise InvalidInput("timezone_unknown", field="timezone", value=name[:_MOST_CHARS], near=near[0]) from unknown


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
