"""Which images are copies of one another: the same bytes, or fingerprints that hardly differ.

Two fingerprints of 256 bits that differ in fewer than 16 of them agree in at least one of 16 bands of 16 bits, so only
those that share a band are compared: the pigeonhole principle, as in M. Charikar, "Similarity Estimation Techniques
from Rounding Algorithms", 2002.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gristmill.index.model import Indexed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MOST_DISTANCE", "DuplicateGroup", "duplicate_groups"]

MOST_DISTANCE = 15
"""Bits in which fingerprints of copies may differ."""
_LEAST_COSINE = 0.8
"""Between the embeddings of copies: plain pictures have like fingerprints, whatever their colours."""
_SHAPE = 0.03
"""By how much of it the shape, width to height, of copies may differ."""
_MOST_NEIGHBOURS = 1000
"""Of a band that very many share, such as those of plain pictures; they are sorted, so copies stand close together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGroup:
    """Copies of one picture, the one to keep first: the most pixels, then the most bytes, then the oldest."""

    members: tuple[Indexed, ...]
    is_exact: bool
    """Whether all have the same bytes."""


def duplicate_groups(
    images: Sequence[Indexed], vectors: Callable[[Sequence[int]], Mapping[int, Any]], *, distance: int
) -> list[DuplicateGroup]:
    """All groups of two or more, the largest first; ``vectors`` gives embeddings by document id.

    With a ``distance`` of 0 fingerprints have to be equal; :data:`MOST_DISTANCE` is the most there can be.
    """
    first: dict[str, int] = {}
    leaders = list(range(len(images)))
    for place, image in enumerate(images):
        leaders[place] = first.setdefault(image.content_hash, place)
    comparable = [place for place in first.values() if images[place].metadata.get("fingerprint")]
    for one, other in _near(images, comparable, vectors, distance):
        leaders[_leader(leaders, other)] = _leader(leaders, one)
    groups: dict[int, list[Indexed]] = {}
    for place, image in enumerate(images):
        groups.setdefault(_leader(leaders, place), []).append(image)
    found = [_group(members) for members in groups.values() if len(members) > 1]
    return sorted(found, key=lambda group: (-len(group.members), group.members[0].document_id))


def _leader(leaders: list[int], place: int) -> int:
    while leaders[place] != place:
        leaders[place] = leaders[leaders[place]]
        place = leaders[place]
    return place


def _group(members: list[Indexed]) -> DuplicateGroup:
    ordered = sorted(members, key=lambda one: (-_pixels(one), -(one.size or 0), one.document_id))
    return DuplicateGroup(members=tuple(ordered), is_exact=len({one.content_hash for one in members}) == 1)


def _pixels(image: Indexed) -> int:
    return int(image.metadata.get("width", 0)) * int(image.metadata.get("height", 0))


def _near(
    images: Sequence[Indexed],
    places: Sequence[int],
    vectors: Callable[[Sequence[int]], Mapping[int, Any]],
    distance: int,
) -> Iterator[tuple[int, int]]:
    """Pairs of places whose images look alike."""
    import numpy as np

    if len(places) < 2:
        return
    packed = np.frombuffer(bytes.fromhex("".join(images[place].metadata["fingerprint"] for place in places)), np.uint8)
    prints = packed.reshape(len(places), -1)
    shapes = np.array([_shape(images[place]) for place in places])
    pairs = _alike(prints, shapes, distance)
    if not len(pairs):
        return
    ids = [images[place].document_id for place in places]
    known = vectors([ids[index] for index in np.unique(pairs)])
    for one, other in pairs.tolist():
        if ids[one] in known and ids[other] in known and float(known[ids[one]] @ known[ids[other]]) >= _LEAST_COSINE:
            yield places[one], places[other]


def _shape(image: Indexed) -> float:
    return float(image.metadata.get("width", 1)) / max(1.0, float(image.metadata.get("height", 1)))


def _alike(prints: "NDArray[np.uint8]", shapes: "NDArray[np.float64]", distance: int) -> "NDArray[np.intp]":
    """Pairs of rows that share a band, differ in at most ``distance`` bits and have about the same shape."""
    import numpy as np

    words = prints.view(np.uint64)
    bands = prints.view(np.uint16)
    found = [np.empty((0, 2), dtype=np.intp)]
    for band in bands.T:
        order = np.lexsort((*words.T, band))
        ranked = band[order]
        for step in range(1, min(_MOST_NEIGHBOURS, len(order) - 1) + 1):
            same = np.flatnonzero(ranked[:-step] == ranked[step:])
            if not len(same):
                break
            one, other = order[same], order[same + step]
            differ = np.bitwise_count(words[one] ^ words[other]).sum(axis=1)
            close = (differ <= distance) & (np.abs(shapes[one] / shapes[other] - 1) <= _SHAPE)
            if close.any():
                found.append(np.sort(np.stack([one[close], other[close]], axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)
