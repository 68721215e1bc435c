"""What a look at a schedule decides: every tick is fired, skipped, missed or still to come, and none is two of these."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.tasks.schedule import MOST_CAUGHT_UP, Misfire, Overlap, Schedule, due_ticks, plan, task_id_of
from gristmill.tasks.ticks import Cron, Every, Rule

NOON = 1_780_000_000_000_000 // 3_600_000_000 * 3_600_000_000
GRACE_SECONDS = 60.0
MINUTELY = Every(60)


def schedule(rule: Rule = MINUTELY, **values: object) -> Schedule:
    known = {"id": "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10", "name": "s", "kind": "ping", "payload": {}}
    times = {"created_at": 0, "updated_at": 0, "next_tick_at": NOON}
    return Schedule(**{**known, **times, "rule": rule, **values})  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(
    rule=st.sampled_from([Every(1), Every(60), Every(7200), Cron("*/5 * * * *"), Cron("0 3 * * *", "Europe/Berlin")]),
    misfire=st.sampled_from(Misfire),
    overlap=st.sampled_from(Overlap),
    is_running=st.booleans(),
    late_seconds=st.integers(0, 3 * 24 * 3600),
)
def test_every_tick_is_accounted_for_once(
    rule: Rule, misfire: Misfire, overlap: Overlap, *, is_running: bool, late_seconds: int
) -> None:
    asked = schedule(rule, misfire=misfire, overlap=overlap)
    now = NOON + late_seconds * 1_000_000
    due = due_ticks(asked, now)

    planned = plan(asked, due, now=now, grace_seconds=GRACE_SECONDS, is_running=is_running)

    left = [tick for tick in due if tick >= planned.next_tick_at]
    assert len(planned.fire) + planned.missed + planned.skipped + len(left) == len(due)
    assert set(planned.fire) <= set(due)
    assert not set(planned.fire) & set(left)
    assert planned.next_tick_at > now or (misfire is Misfire.ALL and overlap is Overlap.SKIP and left)
    assert len(planned.fire) <= (MOST_CAUGHT_UP if (misfire, overlap) == (Misfire.ALL, Overlap.ALLOW) else 1)
    if is_running and overlap is Overlap.SKIP:
        assert not planned.fire
    if misfire is Misfire.SKIP:
        assert all(now - tick <= GRACE_SECONDS * 1_000_000 for tick in planned.fire)


def test_tick_has_the_same_task_whoever_asks_and_another_has_another() -> None:
    one, same, other = (
        schedule(),
        schedule(name="renamed", revision=7),
        schedule(id="0199a1f2-11c0-7f0e-8d5b-b2f6f0d6a001"),
    )

    assert task_id_of(one, NOON) == task_id_of(same, NOON)
    assert len({task_id_of(one, NOON), task_id_of(one, NOON + 1), task_id_of(other, NOON)}) == 3


@pytest.mark.parametrize(("late_seconds", "count"), [(0, 1), (59, 1), (60, 2), (3600, 61)])
def test_ticks_are_due_once_their_moment_has_come(late_seconds: int, count: int) -> None:
    assert len(due_ticks(schedule(), NOON + late_seconds * 1_000_000)) == count
    assert due_ticks(schedule(), NOON - 1) == []
