"""The short forms of many vectors: what they pick holds what an exact comparison would answer."""

from typing import Any

import numpy as np
import pytest

from gristmill.db import sketch as module
from gristmill.db.sketch import sketched

DIMENSION = 256


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SKETCHED_FROM", 2000)
    monkeypatch.setattr(module, "_LEAST_CANDIDATES", 200)


def meanings(count: int, *, seed: int = 1) -> Any:
    """Unit vectors as embedders make them: a few directions tell most of them apart."""
    numbers = np.random.default_rng(seed)
    strength = np.exp(-np.arange(DIMENSION) / 40).astype(np.float32)
    vectors = numbers.standard_normal((count, DIMENSION), np.float32) * strength
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def best(vectors: Any, query: Any, rows: Any) -> set[int]:
    return set(rows[np.argsort(-(vectors[rows] @ query))[:10]].tolist())


def test_candidates_hold_the_nearest() -> None:
    vectors, nothing = meanings(6000), np.arange(0)
    sketch = sketched(None, vectors, 6000)
    assert sketch is not None
    assert sketch.is_useful

    found = 0
    for query in meanings(50, seed=2):
        candidates = sketch.candidates(query, nothing, limit=10)
        assert candidates is not None
        assert len(candidates) < 600
        found += len(best(vectors, query, candidates) & best(vectors, query, np.arange(6000)))

    assert found >= 0.99 * 500


def test_candidates_are_alive() -> None:
    vectors, alive = meanings(3000), np.ones(3000, np.bool_)
    alive[::2] = False
    sketch = sketched(None, vectors, 3000)
    assert sketch is not None

    candidates = sketch.candidates(vectors[0], np.flatnonzero(~alive), limit=10)

    assert candidates is not None
    assert alive[candidates].all()
    assert best(vectors, vectors[0], candidates) == best(vectors, vectors[0], np.flatnonzero(alive))


def test_few_vectors_have_no_sketch() -> None:
    assert sketched(None, meanings(1999), 1999) is None


def test_noise_of_all_directions_is_not_sketched() -> None:
    noise = np.random.default_rng(1).standard_normal((2000, 512), np.float32)

    sketch = sketched(None, noise, 2000)

    assert sketch is not None
    assert not sketch.is_useful


def test_query_beside_the_directions_is_compared_with_all() -> None:
    sketch = sketched(None, meanings(3000), 3000)
    assert sketch is not None
    beside = np.zeros(DIMENSION, np.float32)
    beside[-1] = 1.0

    assert sketch.candidates(beside, np.arange(0), limit=10) is None


def test_sketch_grows_with_its_vectors_and_leaves_the_old_one_as_it_was() -> None:
    vectors = meanings(9000)
    old = sketched(None, vectors[:4000], 3000)
    assert old is not None
    before = old.rows[:3000].copy()

    grown = sketched(old, vectors, 9000)

    assert grown is not None
    assert grown.count == 9000
    assert np.allclose(grown.rows[:9000], vectors @ grown.basis, atol=1e-5)
    assert (old.rows[:3000] == before).all()


def test_directions_are_chosen_anew_for_many_more_vectors() -> None:
    vectors = meanings(9000)
    old = sketched(None, vectors, 2000)
    assert old is not None

    grown = sketched(old, vectors, 9000)

    assert grown is not None
    assert (old.chosen_for, grown.chosen_for) == (2000, 9000)
