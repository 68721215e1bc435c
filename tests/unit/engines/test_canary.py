"""The trial of a new engine: on while it does as well as the old one, back when it does not."""

from dataclasses import replace

import pytest

from gristmill.engines.canary import Canary, Tally, judge
from gristmill.errors import InvalidInput

CANARY = Canary(new="celery", old="rq", steps=(0.1, 0.5, 1.0), hold_seconds=60, least_tasks=10)
LATER = 61_000_000


def tally(count: int, *, failed: int = 0, seconds: float = 1.0) -> Tally:
    return Tally(failed=failed, seconds=(seconds,) * count)


def test_canary_goes_a_step_further_after_its_time() -> None:
    judged = judge(CANARY, tally(10), tally(90), now=LATER)

    assert (judged.step, judged.since, judged.ended) == (1, LATER, None)
    assert judged.policy(version=4).shares == {"celery": 0.5, "rq": 0.5}


@pytest.mark.parametrize(
    ("new", "old", "now"),
    [(tally(10), tally(90), LATER - 2_000_000), (tally(9), tally(90), LATER), (tally(90), tally(9), LATER)],
    ids=["too early", "too few on the new", "too few on the old"],
)
def test_canary_waits_until_there_is_enough_to_compare(new: Tally, old: Tally, now: int) -> None:
    assert judge(CANARY, new, old, now=now) == CANARY


def test_canary_ends_with_all_tasks_after_the_last_comparison() -> None:
    judged = judge(replace(CANARY, step=1), tally(10), tally(10), now=LATER)

    assert judged.ended == "raised"
    assert judged.policy(version=0).shares == {"celery": 1.0}
    assert judge(judged, tally(10, failed=10), tally(10), now=LATER) == judged


@pytest.mark.parametrize(
    ("new", "old", "now", "why"),
    [
        (tally(10, failed=3), tally(90, failed=1), 1, "errors"),
        (tally(10, seconds=1.6), tally(90, seconds=1.0), 1, "slow"),
        (tally(0), tally(90), 301_000_000, "stalled"),
    ],
    ids=["errors", "slow", "stalled"],
)
def test_canary_gives_everything_back_as_soon_as_it_does_worse(new: Tally, old: Tally, now: int, why: str) -> None:
    judged = judge(CANARY, new, old, now=now)

    assert judged.ended == why
    assert judged.policy(version=0).shares == {"rq": 1.0}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (tally(100, failed=3), tally(100, failed=2)),
        (tally(10, failed=2), tally(90)),
        (tally(10, seconds=0.06), tally(90, seconds=0.02)),
    ],
    ids=["within the bound", "too few failures to tell", "a difference nobody notices"],
)
def test_canary_is_not_alarmed_by(new: Tally, old: Tally) -> None:
    assert judge(CANARY, new, old, now=1).ended is None


def test_canary_is_kept_and_read_back() -> None:
    canary = replace(CANARY, step=1, since=7)

    assert Canary.of(canary.body) == canary


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"steps": ()}, "canary_steps"),
        ({"steps": (0.5, 0.1)}, "canary_steps"),
        ({"steps": (0.0, 1.0)}, "canary_steps"),
        ({"steps": (0.5, 1.5)}, "canary_steps"),
        ({"old": "celery"}, "canary_needs_two"),
    ],
)
def test_canary_refuses_what_makes_no_sense(fields: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Canary(**{"new": "celery", "old": "rq", **fields})  # type: ignore[arg-type]

    assert caught.value.code == code
