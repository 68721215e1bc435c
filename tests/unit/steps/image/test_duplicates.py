"""Copies are told from strangers: by their bytes, or by fingerprint, shape and embedding together."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gristmill.index.model import Indexed
from gristmill.steps.image.duplicates import MOST_DISTANCE, duplicate_groups

BITS = 256


def image(number: int, fingerprint: int | None, *, content: str | None = None, **facts: Any) -> Indexed:
    known: dict[str, Any] = {"width": 400, "height": 300, **facts}
    if fingerprint is not None:
        known["fingerprint"] = f"{fingerprint:064x}"
    size = known.pop("size", 1000)
    return Indexed(
        document_id=number,
        name=f"{number}.jpg",
        content_hash=content or str(number),
        size=size,
        media_type="image/jpeg",
        version=1,
        metadata=known,
    )


def alike(ids: Sequence[int]) -> Mapping[int, Any]:
    """Embeddings by which all are the same."""
    return dict.fromkeys(ids, np.array([1.0, 0.0], dtype=np.float32))


def unlike(ids: Sequence[int]) -> Mapping[int, Any]:
    """Embeddings by which no two are alike."""
    return {number: np.eye(len(ids) + 1, dtype=np.float32)[place] for place, number in enumerate(ids)}


def flipped(fingerprint: int, bits: Sequence[int]) -> int:
    for bit in bits:
        fingerprint ^= 1 << bit
    return fingerprint


def members(images: Sequence[Indexed], *, distance: int = 10, vectors: Any = alike) -> list[list[int]]:
    groups = duplicate_groups(images, vectors, distance=distance)
    return [[one.document_id for one in group.members] for group in groups]


def test_same_bytes_are_copies_whatever_else() -> None:
    images = [image(1, 5, content="a"), image(2, 5, content="b"), image(3, 77, content="a")]

    (group,) = duplicate_groups(images, unlike, distance=10)

    assert [one.document_id for one in group.members] == [1, 3]
    assert group.is_exact


def test_like_fingerprints_need_like_embeddings_and_shapes() -> None:
    same = random.Random(1).getrandbits(BITS)
    near = flipped(same, [3, 80, 200])
    images = [image(1, same), image(2, near)]

    assert members(images) == [[1, 2]]
    assert members(images, vectors=unlike) == []
    assert members([images[0], image(2, near, width=300)]) == []
    assert members(images, distance=2) == []


def test_one_to_keep_has_the_most_pixels_then_bytes_then_years() -> None:
    same = random.Random(2).getrandbits(BITS)
    images = [
        image(1, same, width=200, height=150),
        image(2, same, size=900),
        image(3, same, size=1000),
        image(4, same, size=1000),
    ]

    assert members(images) == [[3, 4, 2, 1]]


def test_images_without_fingerprint_are_compared_by_their_bytes_alone() -> None:
    images = [image(1, None, content="a"), image(2, None, content="b")]

    assert members(images) == []


def test_nothing_and_one_have_no_duplicates() -> None:
    assert members([]) == []
    assert members([image(1, 5)]) == []


@given(st.integers(0, 2**BITS - 1), st.sets(st.integers(0, BITS - 1), max_size=40), st.integers(0, MOST_DISTANCE))
def test_pair_is_found_exactly_when_it_is_near_enough(fingerprint: int, bits: set[int], distance: int) -> None:
    images = [image(1, fingerprint), image(2, flipped(fingerprint, sorted(bits)))]

    assert members(images, distance=distance) == ([[1, 2]] if len(bits) <= distance else [])


def test_copies_are_found_among_many_strangers() -> None:
    source = random.Random(3)
    prints = [source.getrandbits(BITS) for _ in range(3000)]
    images = [image(number, fingerprint) for number, fingerprint in enumerate(prints, 1)]
    copies = [image(5000 + number, flipped(prints[number], source.sample(range(BITS), 9))) for number in range(40)]

    assert sorted(members([*images, *copies])) == [[number + 1, 5000 + number] for number in range(40)]
