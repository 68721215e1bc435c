"""Schedules: recurring rules that submit a task, and what is to be done at a look at one of them.

Decides and stores nothing by itself: whoever carries out a :class:`Plan` does so in one transaction, if the schedule
still is as it was when the plan was made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain, islice, takewhile
from typing import Any

from gristmill.ids import derived_id
from gristmill.tasks.model import Json
from gristmill.tasks.ticks import Rule, following, ticks

__all__ = ["MOST_CAUGHT_UP", "Misfire", "Overlap", "Plan", "Schedule", "due_ticks", "plan", "task_id_of", "upcoming"]

MOST_CAUGHT_UP = 100
"""Ticks of one schedule that are made up for; older ones are missed."""
_MOST_COUNTED = 10_000
"""Ticks that went by unseen are counted up to here: a rule of minutes makes half a million in a year."""


class Misfire(StrEnum):
    """What becomes of ticks that nobody looked at in time."""

    ONCE = "once"
    """One task for all of them."""
    ALL = "all"
    """One task for each, as far as they are made up for."""
    SKIP = "skip"
    """None."""


class Overlap(StrEnum):
    """What becomes of a tick while the task of the one before has not ended."""

    SKIP = "skip"
    """It submits none; with :attr:`Misfire.ALL`, not yet."""
    ALLOW = "allow"
    """It submits one, to run beside the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One row of the schedules: a rule, the task that it submits, and what came of it so far."""

    id: str
    name: str
    rule: Rule
    kind: str
    payload: Json
    priority: int = 5
    collection: str | None = None
    misfire: Misfire = Misfire.ONCE
    overlap: Overlap = Overlap.SKIP
    paused: bool = False
    created_at: int
    updated_at: int
    next_tick_at: int
    """The earliest tick that nothing has come of yet."""
    last_tick_at: int | None = None
    """The latest tick that submitted a task."""
    last_run_at: int | None = None
    """When the latest task was submitted, by a tick or by hand."""
    last_task_id: str | None = None
    fired: int = 0
    """Ticks that submitted a task."""
    skipped: int = 0
    """Ticks that did not, because the task before had not ended."""
    missed: int = 0
    """Ticks that did not, because nobody looked at them in time."""
    error: Mapping[str, Any] | None = None
    """``{"type", "code", "facts"}`` of why the tick that is due could not submit its task."""
    revision: int = 0
    """Grows with every change of the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do at a look at a schedule."""

    fire: Sequence[int]
    """Ticks to submit a task for, the earliest first."""
    missed: int = 0
    skipped: int = 0
    next_tick_at: int


def task_id_of(schedule: Schedule, tick: int) -> str:
    """The id of the task that ``tick`` submits: whoever submits it twice has submitted one."""
    return derived_id(schedule.id, str(tick))


def upcoming(schedule: Schedule, now: int, *, count: int) -> list[int]:
    """The next ticks, that which is due included; none while it is paused."""
    if schedule.paused:
        return []
    later = following(schedule.rule, schedule.next_tick_at, max(now, schedule.next_tick_at))
    return list(islice(chain([schedule.next_tick_at, later], ticks(schedule.rule, later)), count))


def due_ticks(schedule: Schedule, now: int) -> list[int]:
    """The ticks that have come by ``now``, the earliest first: all, up to a number that nobody cares to tell apart."""
    first = schedule.next_tick_at
    come = takewhile(lambda tick: tick <= now, chain([first], ticks(schedule.rule, first)))
    return list(islice(come, _MOST_COUNTED))


def plan(schedule: Schedule, due: Sequence[int], *, now: int, grace_seconds: float, is_running: bool) -> Plan:
    """What to do about ``due``; ``is_running`` says whether the task of the tick before has not ended.

    A tick is in time for ``grace_seconds``.
    """
    holds = is_running and schedule.overlap is Overlap.SKIP
    if schedule.misfire is Misfire.ALL:
        return _one_for_each(schedule, due, now=now, holds=holds)
    in_time = [tick for tick in due if now - tick <= grace_seconds * 1_000_000]
    fire = (due if schedule.misfire is Misfire.ONCE else in_time)[-1:]
    planned = Plan(
        fire=fire, missed=len(due) - len(fire), next_tick_at=following(schedule.rule, schedule.next_tick_at, now)
    )
    return replace(planned, fire=(), skipped=len(fire)) if holds else planned


def _one_for_each(schedule: Schedule, due: Sequence[int], *, now: int, holds: bool) -> Plan:
    """Where nothing may overlap, one after the other: what has to wait stays due."""
    kept = due[-MOST_CAUGHT_UP:]
    fire = kept if schedule.overlap is Overlap.ALLOW else kept[: 0 if holds else 1]
    left = kept[len(fire) :]
    return Plan(
        fire=fire,
        missed=len(due) - len(kept),
        next_tick_at=left[0] if left else following(schedule.rule, schedule.next_tick_at, now),
    )
