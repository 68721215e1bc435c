"""Vectors of a collection in memory, as blocks that are only ever added to: a search keeps what it began with.

The last block takes new vectors as they are; once full it is sketched (:mod:`gristmill.db.sketch`). Nothing that is
there is copied for what comes, except the living rows of a block that is mostly dead. Knows no database. numpy is
imported by the first call that needs it, not with this module.
"""

from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gristmill.db.sketch import Asked, Directions, Sketch, sketched
from gristmill.index.model import Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BLOCK_ROWS", "Blocks", "Portion"]

BLOCK_ROWS = 16_384
"""Vectors of a block. Comparing so many as they are takes a millisecond, and sketching them a fifth of a second."""
_LEAST_DEAD = 1000
_DEAD_SHARE = 1 / 4
_LEAST_CANDIDATES = 1000
_CANDIDATES_PER_HIT = 8
_CANDIDATES_SHARE = 1 / 256
_FULL_SHARE = 0.3
"""Of a query's squared length; with less of it the short forms order worse, and more candidates are needed."""
_LEAST_SHARE = 0.1
_MORE = 4
_FEW = 1 / 8
"""Gathering so few of the rows is cheaper than multiplying all; gathering more is not."""
_DECIMALS = 6
"""Cosines that differ by less are equal: float32 sums depend on the order of their terms."""

Portion = tuple[Sequence[int], Sequence[int], "NDArray[np.float32]"]
"""Chunk numbers, document ids and vectors of some rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    """Rows below ``count`` never change; a later block may share the arrays."""

    count: int
    chunk_nos: "NDArray[np.int64]"
    document_ids: "NDArray[np.int64]"
    dead: "NDArray[np.intp]"
    """Rows that were removed, ascending."""
    stored: "NDArray[np.float32] | Sketch"

    @property
    def is_mostly_dead(self) -> bool:
        return len(self.dead) > _LEAST_DEAD and len(self.dead) > _DEAD_SHARE * self.count

    def living(self) -> Portion:
        import numpy as np

        rows = np.delete(np.arange(self.count), self.dead)
        vectors = self.stored.vectors(rows) if isinstance(self.stored, Sketch) else self.stored[rows]
        return self.chunk_nos[rows].tolist(), self.document_ids[rows].tolist(), vectors

    def without(self, documents: "NDArray[np.int64]") -> "_Block":
        import numpy as np

        gone = np.flatnonzero(np.isin(self.document_ids[: self.count], documents))
        return replace(self, dead=np.union1d(self.dead, gone)) if len(gone) else self

    def compared(
        self, with_: "NDArray[np.float32]", matrix: "NDArray[np.float32]", wanted: "NDArray[np.int64] | None"
    ) -> "tuple[NDArray[np.intp], NDArray[np.float32]]":
        """The living rows of the ``wanted`` documents, or all documents, and their products."""
        import numpy as np

        if wanted is not None:
            mask = np.isin(self.document_ids[: self.count], wanted)
            mask[self.dead] = False
            rows = np.flatnonzero(mask)
        elif len(self.dead):
            rows = np.delete(np.arange(self.count), self.dead)
        else:
            return np.arange(self.count), matrix[: self.count] @ with_
        if len(rows) < _FEW * self.count:
            return rows, matrix[rows] @ with_
        return rows, (matrix[: self.count] @ with_)[rows]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Picked:
    block: _Block
    rows: "NDArray[np.intp]"
    scores: "NDArray[np.float32]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """The vectors of one space at one moment."""

    dimension: int
    blocks: tuple[_Block, ...] = ()
    directions: Directions | None = None
    """Those of the block that was sketched last."""

    @property
    def count(self) -> int:
        """Rows, removed ones among them."""
        return sum(block.count for block in self.blocks)

    def without(self, document_ids: Iterable[int]) -> "Blocks":
        """The same without the rows of these documents."""
        import numpy as np

        gone = np.fromiter(document_ids, np.int64)
        if not len(gone):
            return self
        blocks = [block.without(gone) for block in self.blocks]
        kept = tuple(block for block in blocks if not block.is_mostly_dead)
        return replace(self, blocks=kept).with_rows(block.living() for block in blocks if block.is_mostly_dead)

    def with_rows(self, portions: Iterable[Portion]) -> "Blocks":
        """The same and more; writes only behind the rows that are there, so only one caller at a time may."""
        blocks, directions = list(self.blocks), self.directions
        for numbers, owners, vectors in portions:
            taken = 0
            while taken < len(numbers):
                if not blocks or isinstance(blocks[-1].stored, Sketch) or blocks[-1].count == BLOCK_ROWS:
                    blocks.append(_empty(self.dimension))
                last = blocks[-1]
                assert not isinstance(last.stored, Sketch)
                end = min(last.count + len(numbers) - taken, BLOCK_ROWS)
                more = slice(taken, taken + end - last.count)
                last.chunk_nos[last.count : end] = numbers[more]
                last.document_ids[last.count : end] = owners[more]
                last.stored[last.count : end] = vectors[more]
                taken = more.stop
                blocks[-1] = replace(last, count=end)
                if end == BLOCK_ROWS and (sketch := sketched(last.stored, directions)) is not None:
                    blocks[-1] = replace(blocks[-1], stored=sketch)
                    directions = sketch.directions
        return replace(self, blocks=tuple(blocks), directions=directions)

    def nearest(
        self, query: "NDArray[np.float32]", *, limit: int, document_ids: AnyOf[int] | None = None
    ) -> list[Scored]:
        """The ``limit`` rows most similar to ``query``, best first, equal ones by chunk number."""
        import numpy as np

        wanted = None if document_ids is None else np.fromiter(document_ids, np.int64)
        found = [*self._whole(query, limit, wanted), *self._sketched(query, limit, wanted)]
        if not found:
            return []
        scores = np.clip(np.concatenate([picked.scores for picked in found]), -1.0, 1.0)
        numbers = np.concatenate([picked.block.chunk_nos[picked.rows] for picked in found])
        order = np.lexsort((numbers, -scores))[:limit]
        return [
            Scored(chunk_no=int(number), score=float(score))
            for number, score in zip(numbers[order], scores[order], strict=True)
        ]

    def _whole(self, query: Any, limit: int, wanted: Any) -> list[_Picked]:
        import numpy as np

        def compared() -> Iterator[_Picked]:
            for block in self.blocks:
                if not isinstance(block.stored, Sketch):
                    rows, scores = block.compared(query, block.stored, wanted)
                    yield _Picked(block=block, rows=rows, scores=np.round(scores, _DECIMALS))

        return _greatest(compared(), limit)

    def _sketched(self, query: Any, limit: int, wanted: Any) -> Iterator[_Picked]:
        import numpy as np

        asked: dict[int, Asked] = {}
        inside = [block for block in self.blocks if isinstance(block.stored, Sketch)]

        def compared() -> Iterator[_Picked]:
            for block in inside:
                assert isinstance(block.stored, Sketch)
                directions = block.stored.directions
                if id(directions) not in asked:
                    asked[id(directions)] = directions.of(query)
                rows, scores = block.compared(asked[id(directions)].short, block.stored.short, wanted)
                yield _Picked(block=block, rows=rows, scores=scores)

        rows = sum(block.count for block in inside)
        share = self.directions.of(query).share if self.directions is not None else 1.0
        for picked in _greatest(compared(), _candidates(rows, limit, share)):
            sketch = picked.block.stored
            assert isinstance(sketch, Sketch)
            scores = sketch.cosines(asked[id(sketch.directions)], picked.rows, picked.scores)
            yield replace(picked, scores=np.round(scores, _DECIMALS))


def _candidates(rows: int, limit: int, share: float) -> int:
    """How many of so many short forms to look at more closely."""
    if share < _LEAST_SHARE:
        return rows
    candidates = max(_LEAST_CANDIDATES, _CANDIDATES_PER_HIT * limit, int(rows * _CANDIDATES_SHARE))
    return candidates if share >= _FULL_SHARE else _MORE * candidates


def _greatest(all_: Iterable[_Picked], count: int) -> list[_Picked]:
    """The ``count`` rows with the greatest scores and those equal to the last of them."""
    import numpy as np

    kept: list[_Picked] = []
    floor = -np.inf
    for picked in all_:
        kept.append(_above(picked, floor))
        held = sum(len(one.rows) for one in kept)
        if held > 2 * count:
            floor = _floor(kept, count)
            kept = [_above(one, floor) for one in kept]
    if sum(len(one.rows) for one in kept) > count:
        floor = _floor(kept, count)
        kept = [_above(one, floor) for one in kept]
    return [one for one in kept if len(one.rows)]


def _floor(kept: list[_Picked], count: int) -> float:
    import numpy as np

    scores = np.concatenate([one.scores for one in kept])
    return float(np.partition(scores, len(scores) - count)[len(scores) - count])


def _above(picked: _Picked, floor: float) -> _Picked:
    good = picked.scores >= floor
    return picked if good.all() else replace(picked, rows=picked.rows[good], scores=picked.scores[good])


def _empty(dimension: int) -> _Block:
    """Pages of it that are not written to yet take no memory."""
    import numpy as np

    return _Block(
        count=0,
        chunk_nos=np.empty(BLOCK_ROWS, np.int64),
        document_ids=np.empty(BLOCK_ROWS, np.int64),
        dead=np.empty(0, np.intp),
        stored=np.empty((BLOCK_ROWS, dimension), np.float32),
    )
