"""A short form of many vectors: their share in the few directions in which they differ most, and the rest in bytes.

Comparing short forms tells which few thousand vectors are worth comparing with the rest added, which is off by a few
ten-thousandths of a cosine at most. Knows neither documents nor databases. numpy is imported by the first call that
needs it, not with this module.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Asked", "Directions", "Sketch", "sketched"]

_DIRECTIONS = 128
_SAMPLE = 4000
_LEAST_SHARE = 0.6
"""Of the squared lengths, that the directions have to keep; noise of all directions is kept whole instead."""
_LOST_SHARE = 0.05
"""Other vectors may lose so much more in directions than those they were chosen for; else new ones are chosen."""
_STEPS = 127
_AT_ONCE = 2048
"""Rows whose rest is worked on at once, so that it stays in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A query as a sketch is compared with it."""

    short: "NDArray[np.float32]"
    rest: "NDArray[np.float32]"
    """What of the query points in none of the directions."""
    share: float
    """Of the query's squared length, that the directions keep."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Directions:
    """Orthogonal directions that keep most of the squared lengths of some vectors."""

    basis: "NDArray[np.float32]"
    """One column for each direction."""
    share: float
    """What they keep of those they were chosen for."""

    def of(self, query: "NDArray[np.float32]") -> Asked:
        """The query in these directions and beside them."""
        short = query @ self.basis
        length = float(query @ query)
        share = float(short @ short) / length if length else 1.0
        return Asked(short=short, rest=query - self.basis @ short, share=share)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sketch:
    """Vectors in directions, in float32, and what is left of each in steps of its own size."""

    directions: Directions
    short: "NDArray[np.float32]"
    rest: "NDArray[np.int8]"
    steps: "NDArray[np.float32]"

    def vectors(self, rows: "NDArray[np.intp]") -> "NDArray[np.float32]":
        """The vectors themselves, nearly."""
        import numpy as np

        rest: NDArray[np.float32] = self.rest[rows].astype(np.float32) * self.steps[rows, None]
        rest += self.short[rows] @ self.directions.basis.T
        return rest

    def cosines(self, asked: Asked, rows: "NDArray[np.intp]", short: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Of ``rows``, whose ``short`` forms are compared already."""
        import numpy as np

        left = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _AT_ONCE):
            portion = slice(start, start + _AT_ONCE)
            np.matmul(self.rest.take(rows[portion], axis=0).astype(np.float32), asked.rest, out=left[portion])
        return short + left * self.steps[rows]


def sketched(vectors: Any, directions: Directions | None) -> Sketch | None:
    """The sketch of ``vectors``: in ``directions``, or others if they lose too much; None if all of them do."""
    dimension = vectors.shape[1]
    if dimension < 2 * _DIRECTIONS:
        return None
    if directions is None or _kept(vectors, directions.basis) < directions.share - _LOST_SHARE:
        directions = _chosen(vectors)
    return _in_directions(vectors, directions) if directions.share >= _LEAST_SHARE else None


def _sample(vectors: Any) -> Any:
    return vectors[:: max(1, len(vectors) // _SAMPLE)]


def _kept(vectors: Any, basis: Any) -> float:
    import numpy as np

    sample = _sample(vectors)
    whole = float(np.square(sample).sum())
    return float(np.square(sample @ basis).sum()) / whole if whole else 1.0


def _chosen(vectors: Any) -> Directions:
    import numpy as np

    sample = _sample(vectors)
    _, directions = np.linalg.eigh(sample.T @ sample)
    basis = np.ascontiguousarray(directions[:, -_DIRECTIONS:], dtype=np.float32)
    return Directions(basis=basis, share=_kept(vectors, basis))


def _in_directions(vectors: Any, directions: Directions) -> Sketch:
    import numpy as np

    count, dimension = vectors.shape
    basis = directions.basis
    short = np.empty((count, _DIRECTIONS), np.float32)
    rest = np.empty((count, dimension), np.int8)
    steps = np.empty(count, np.float32)
    for start in range(0, count, _AT_ONCE):
        portion = slice(start, start + _AT_ONCE)
        np.matmul(vectors[portion], basis, out=short[portion])
        left = vectors[portion] - short[portion] @ basis.T
        # A vector without any rest is divided by something all the same.
        step = np.maximum(np.abs(left).max(axis=1) / _STEPS, np.finfo(np.float32).tiny)
        left /= step[:, None]
        rest[portion] = np.rint(left, out=left)
        steps[portion] = step
    return Sketch(directions=directions, short=short, rest=rest, steps=steps)
