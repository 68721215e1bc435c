import gc
from collections.abc import Iterator

import pytest

from gristmill.api.server import spare_what_stays


@pytest.fixture(autouse=True)
def sparing() -> Iterator[None]:
    # What the tests before have left is of no matter here.
    gc.freeze()
    gc.callbacks.append(spare_what_stays)
    yield
    gc.callbacks.remove(spare_what_stays)
    gc.unfreeze()


def lists_looked_at() -> int:
    return sum(type(found) is list for found in gc.get_objects())


def test_many_objects_that_survive_a_full_look_for_garbage_are_spared_the_next() -> None:
    kept: list[list[object]] = [[] for _ in range(50_000)]

    gc.collect()

    assert lists_looked_at() < len(kept)


def test_few_objects_that_survive_are_looked_at_again() -> None:
    kept: list[list[object]] = [[] for _ in range(500)]

    gc.collect()

    assert lists_looked_at() >= len(kept)


def test_garbage_that_comes_later_is_found_as_ever() -> None:
    class Ring:
        pass

    kept: list[list[object]] = [[] for _ in range(50_000)]
    gc.collect()
    ring = Ring()
    ring.itself = ring  # type: ignore[attr-defined]  # made on the spot
    del ring

    assert gc.collect() >= 1
    assert lists_looked_at() < len(kept)
