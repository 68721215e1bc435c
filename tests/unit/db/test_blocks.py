"""The blocks vectors are kept in: what they answer is what comparing every vector answers, whatever came and went."""

from typing import Any

import numpy as np
import pytest

from gristmill.db import blocks as module
from gristmill.db.blocks import Blocks
from gristmill.index.model import Scored
from tests.unit.db.test_sketch import DIMENSION, meanings

ROWS = 1024


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", ROWS)
    monkeypatch.setattr(module, "_LEAST_CANDIDATES", 200)
    monkeypatch.setattr(module, "_LEAST_DEAD", 50)


def filled(vectors: Any, *, first: int = 0, per_document: int = 10, into: Blocks | None = None) -> Blocks:
    """Chunk ``n`` is vector ``n``, in document ``n // per_document``."""
    numbers = range(first, first + len(vectors))
    portion = (list(numbers), [number // per_document for number in numbers], vectors)
    return (into or Blocks(dimension=vectors.shape[1])).with_rows([portion])


def exact(vectors: Any, query: Any, *, among: Any = None, limit: int = 10) -> list[int]:
    rows = np.arange(len(vectors)) if among is None else np.asarray(among)
    order: list[int] = rows[np.argsort(-(vectors[rows] @ query))[:limit]].tolist()
    return order


def numbers(found: list[Scored]) -> list[int]:
    return [scored.chunk_no for scored in found]


def recall(blocks: Blocks, vectors: Any, *, among: Any = None, **asked: Any) -> float:
    found = 0
    queries = meanings(50, seed=9)
    for query in queries:
        answer = numbers(blocks.nearest(query, limit=10, **asked))
        found += len(set(answer) & set(exact(vectors, query, among=among)))
    return found / (10 * len(queries))


@pytest.mark.parametrize("count", [1, 10, ROWS - 1, ROWS, ROWS + 1, 6 * ROWS + 7])
def test_nearest_are_those_of_an_exact_comparison(count: int) -> None:
    vectors = meanings(count)
    blocks = filled(vectors)

    assert blocks.count == count
    if count >= 10:
        assert recall(blocks, vectors) >= 0.99
    query = vectors[count // 2]
    best = blocks.nearest(query, limit=1)[0]
    assert best.chunk_no == count // 2
    assert best.score == pytest.approx(1.0, abs=0.001)


def test_only_the_last_block_is_kept_as_it_came() -> None:
    blocks = filled(meanings(3 * ROWS + 5))

    assert [isinstance(block.stored, np.ndarray) for block in blocks.blocks] == [False, False, False, True]


def test_noise_of_all_directions_is_answered_exactly() -> None:
    noise = np.random.default_rng(1).standard_normal((3 * ROWS, 2 * DIMENSION), np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    blocks = filled(noise)

    assert all(isinstance(block.stored, np.ndarray) for block in blocks.blocks)
    for query in noise[:20]:
        assert numbers(blocks.nearest(query, limit=10)) == exact(noise, query)


def test_query_beside_the_directions_is_compared_with_all() -> None:
    vectors = meanings(4 * ROWS)
    blocks = filled(vectors)
    assert blocks.directions is not None
    beside = vectors[5] - blocks.directions.basis @ (blocks.directions.basis.T @ vectors[5])
    beside /= np.linalg.norm(beside)

    assert set(numbers(blocks.nearest(beside, limit=5))) == set(exact(vectors, beside, limit=5))


def test_vectors_of_two_kinds_are_found_beside_each_other() -> None:
    vectors = np.concatenate([meanings(2 * ROWS), meanings(2 * ROWS, seed=3, mixed=5)])

    blocks = filled(vectors)

    assert recall(blocks, vectors) >= 0.99
    for row in (7, 3 * ROWS):
        assert numbers(blocks.nearest(vectors[row], limit=1)) == [row]


@pytest.mark.parametrize("documents", [range(1), range(0, 600, 50), range(0, 600, 2), range(600)])
def test_wanted_documents_are_ranked_as_if_there_were_no_others(documents: range) -> None:
    vectors = meanings(6000)
    among = [number for number in range(6000) if number // 10 in documents]

    assert recall(filled(vectors), vectors, among=among, document_ids=list(documents)) >= 0.99 * min(1, len(among) / 10)


def test_removed_documents_are_not_found_and_the_search_that_began_before_still_sees_them() -> None:
    vectors = meanings(3 * ROWS)
    before = filled(vectors)
    gone = range(0, 3 * ROWS // 10, 7)

    after = before.without(gone)

    left = [number for number in range(3 * ROWS) if number // 10 not in gone]
    assert recall(after, vectors, among=left) >= 0.99
    assert recall(before, vectors) >= 0.99


def test_room_of_removed_rows_is_given_back() -> None:
    vectors = meanings(4 * ROWS)
    blocks = filled(vectors)
    gone = range(3 * ROWS // 10)

    left = blocks.without(gone)

    assert left.count < ROWS + 20
    assert recall(left, vectors, among=range(len(gone) * 10, 4 * ROWS)) >= 0.99


def test_new_rows_copy_none_of_the_old() -> None:
    vectors = meanings(3 * ROWS)
    old = filled(vectors[: 2 * ROWS + 10])

    new = filled(vectors[2 * ROWS + 10 :], first=2 * ROWS + 10, into=old)

    assert [one.stored is other.stored for one, other in zip(old.blocks, new.blocks, strict=True)] == [
        True,
        True,
        False,
    ]
    assert old.count == 2 * ROWS + 10
    assert recall(old, vectors, among=range(2 * ROWS + 10)) >= 0.99
    assert recall(new, vectors) >= 0.99


def test_equal_vectors_come_by_chunk_number() -> None:
    vectors = np.tile(meanings(1), (2 * ROWS + 3, 1))

    assert numbers(filled(vectors[:500]).nearest(vectors[0], limit=5)) == [0, 1, 2, 3, 4]
    assert numbers(filled(vectors).nearest(vectors[0], limit=1)) == [0]


def test_nothing_is_found_in_nothing() -> None:
    empty = Blocks(dimension=DIMENSION)

    assert empty.nearest(meanings(1)[0], limit=10) == []
    assert filled(meanings(20)).nearest(meanings(1)[0], limit=10, document_ids=[]) == []
