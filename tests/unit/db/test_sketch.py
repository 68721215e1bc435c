"""The short forms of many vectors: nearly what they were made of, in directions that suit them."""

from typing import Any

import numpy as np

from gristmill.db.sketch import sketched

DIMENSION = 256


def meanings(count: int, *, seed: int = 1, mixed: int | None = None) -> Any:
    """Unit vectors as embedders make them: a few directions, of ``mixed``, tell most of them apart."""
    numbers = np.random.default_rng(seed)
    strength = np.exp(-np.arange(DIMENSION) / 40).astype(np.float32)
    vectors = numbers.standard_normal((count, DIMENSION), np.float32) * strength
    if mixed is not None:
        vectors = vectors[:, np.random.default_rng(mixed).permutation(DIMENSION)]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_sketch_tells_cosines_nearly_and_the_vectors_too() -> None:
    vectors, rows = meanings(3000), np.arange(3000)
    sketch = sketched(vectors, None)
    assert sketch is not None

    for query in meanings(20, seed=2):
        asked = sketch.directions.of(query)
        cosines = sketch.cosines(asked, rows, sketch.short @ asked.short)
        assert np.abs(cosines - vectors @ query).max() < 0.001

    assert np.abs(sketch.vectors(rows) - vectors).max() < 0.001


def test_vector_of_zeros_stays_one() -> None:
    vectors = meanings(3000)
    vectors[7] = 0.0
    sketch = sketched(vectors, None)
    assert sketch is not None

    assert not sketch.vectors(np.asarray([7])).any()


def test_query_of_zeros_lies_in_all_directions() -> None:
    sketch = sketched(meanings(3000), None)
    assert sketch is not None

    assert sketch.directions.of(np.zeros(DIMENSION, np.float32)).share == 1.0


def test_noise_of_all_directions_is_not_sketched() -> None:
    assert sketched(np.random.default_rng(1).standard_normal((2000, 512), np.float32), None) is None


def test_vectors_of_few_dimensions_are_not_sketched() -> None:
    assert sketched(meanings(3000)[:, :255], None) is None


def test_directions_serve_vectors_of_the_same_kind() -> None:
    first = sketched(meanings(3000), None)
    assert first is not None

    second = sketched(meanings(3000, seed=2), first.directions)

    assert second is not None
    assert second.directions is first.directions


def test_directions_are_chosen_anew_for_vectors_of_another_kind() -> None:
    first = sketched(meanings(3000), None)
    assert first is not None
    others = meanings(3000, mixed=5)

    second = sketched(others, first.directions)

    assert second is not None
    assert second.directions is not first.directions
    assert second.directions.share > 0.8
