"""A short form of many vectors: their share in the few directions in which they differ most.

Comparing short forms tells which few thousand vectors are worth comparing in full; what is answered are always full
cosines. Knows neither documents nor databases. numpy is imported by the first call that needs it, not with this module.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SKETCHED_FROM", "Sketch", "sketched"]

SKETCHED_FROM = 20_000
"""Vectors from which on a sketch pays; comparing fewer in full takes two milliseconds."""
_DIRECTIONS = 128
_SAMPLE = 4000
_OUTGROWN = 4
"""Times as many vectors as the directions were chosen for, and they are chosen anew."""
_LEAST_SHARE = 0.6
"""Of the squared lengths, that the directions have to keep; noise of all directions is compared in full instead."""
_QUERY_SHARE = 0.3
"""Of a query's squared length; with less of it the short forms order worse, and more candidates are needed."""
_LEAST_QUERY_SHARE = 0.1
_LEAST_CANDIDATES = 1000
_CANDIDATES_SHARE = 1 / 64
_MORE = 4
_PROJECTED_AT_ONCE = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """Short forms of the first ``count`` vectors of an array; rows below ``count`` never change."""

    basis: "NDArray[np.float32]"
    """One column for each direction; without columns if no few directions are worth it."""
    rows: "NDArray[np.float32]"
    count: int
    chosen_for: int
    """How many vectors there were when the directions were chosen."""

    @property
    def is_useful(self) -> bool:
        """Whether the directions tell vectors apart."""
        return len(self.basis.T) > 0

    def candidates(
        self, query: "NDArray[np.float32]", dead: "NDArray[np.intp]", *, limit: int
    ) -> "NDArray[np.intp] | None":
        """Rows outside of ``dead`` that the ``limit`` nearest are in, ascending; None if all have to be compared."""
        import numpy as np

        short = query @ self.basis
        kept, length = float(short @ short), float(query @ query)
        if kept < _LEAST_QUERY_SHARE * length:
            return None
        wanted = max(_LEAST_CANDIDATES, 8 * limit, int(self.count * _CANDIDATES_SHARE))
        if kept < _QUERY_SHARE * length:
            wanted *= _MORE
        if 2 * wanted > self.count - len(dead):
            return None
        scores = self.rows[: self.count] @ short
        scores[dead] = -np.inf
        best = np.argpartition(scores, self.count - wanted)[self.count - wanted :]
        return np.sort(best)


def sketched(old: Sketch | None, vectors: Any, count: int) -> Sketch | None:
    """The sketch of the first ``count`` of ``vectors``, of which ``old`` has the beginning; None if they are few.

    Writes only behind ``old.count``, where no reader of ``old`` looks.
    """
    import numpy as np

    if count < SKETCHED_FROM or vectors.shape[1] < 2 * _DIRECTIONS:
        return None
    if old is None or count > _OUTGROWN * old.chosen_for:
        basis = _directions(vectors, count)
        old = Sketch(basis=basis, rows=np.empty((0, basis.shape[1]), np.float32), count=0, chosen_for=count)
    rows = old.rows
    if len(rows) < len(vectors):
        rows = np.empty((len(vectors), old.basis.shape[1]), np.float32)
        rows[: old.count] = old.rows[: old.count]
    for start in range(old.count, count, _PROJECTED_AT_ONCE):
        end = min(start + _PROJECTED_AT_ONCE, count)
        np.matmul(vectors[start:end], old.basis, out=rows[start:end])
    return Sketch(basis=old.basis, rows=rows, count=count, chosen_for=old.chosen_for)


def _directions(vectors: Any, count: int) -> Any:
    """Orthogonal directions that keep most of the squared lengths of a sample."""
    import numpy as np

    sample = vectors[: count : max(1, count // _SAMPLE)]
    shares, directions = np.linalg.eigh(sample.T @ sample)
    if float(shares[-_DIRECTIONS:].sum()) < _LEAST_SHARE * float(shares.sum()):
        return np.empty((vectors.shape[1], 0), np.float32)
    return np.ascontiguousarray(directions[:, -_DIRECTIONS:], dtype=np.float32)
