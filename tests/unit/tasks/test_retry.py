import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.tasks.retry import RetryPolicy

SECONDS = st.floats(0, 1e6)


@given(base=SECONDS, cap=SECONDS, attempt=st.integers(-5, 10_000), seed=st.integers())
def test_delay_stays_within_its_bound(base: float, cap: float, attempt: int, seed: int) -> None:
    policy = RetryPolicy(base_seconds=base, cap_seconds=cap)

    delay = policy.delay_seconds(attempt, random_source=random.Random(seed))

    bound = min(cap, base * 2.0 ** min(max(0, attempt - 1), 64))
    assert 0 <= delay <= bound


@pytest.mark.parametrize(("attempt", "bound"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 100), (60, 100)])
def test_delay_spreads_over_the_whole_of_a_bound_that_doubles(attempt: int, bound: float) -> None:
    policy, source = RetryPolicy(base_seconds=10, cap_seconds=100), random.Random(7)

    delays = [policy.delay_seconds(attempt, random_source=source) for _ in range(2000)]

    assert min(delays) < bound * 0.01
    assert max(delays) > bound * 0.99
    assert sum(delays) / len(delays) == pytest.approx(bound / 2, rel=0.05)


def test_delay_is_drawn_anew_without_a_given_source() -> None:
    policy = RetryPolicy()

    assert len({policy.delay_seconds(1) for _ in range(10)}) == 10
