"""Nearest vectors from memory: each process that searches keeps the published vectors of a collection.

The database stays the truth. Every change counts up the collection's generation; a search compares it and first loads
the documents that changed. Few vectors are all compared; of many, those that :mod:`gristmill.db.sketch` picks.
numpy is imported by the first call that needs it, not with this module.

Memory per vector: 4 bytes a dimension and 17 more (chunk number, document id, whether it is alive): 2,065 bytes for
512 dimensions, and 512 more for the sketch of a large collection. Removed vectors stay until more than a thousand rows and a quarter of all are dead.
"""

import threading
from collections.abc import Collection as AnyOf
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.engine import Connection

from gristmill.db.database import Database
from gristmill.db.schema import collections, documents, embeddings, version_chunks
from gristmill.db.sketch import Sketch, sketched
from gristmill.errors import Conflict, InvalidInput
from gristmill.index.model import Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["VectorIndex", "to_blob", "unit_vector"]

_LOADED_AT_ONCE = 2000
"""Vectors fetched in one go: large enough to copy fast, small enough not to matter in memory."""
_PICKED_AT_ONCE = 500
"""Values bound in one statement; databases limit how many there may be."""
_DECIMALS = 6
"""Cosines that differ by less are equal: float32 sums depend on the order of their terms."""


def unit_vector(vector: Any, dimension: int) -> "NDArray[np.float32]":
    """``vector`` as float32 of length one; :class:`InvalidInput` (``vector_unusable``) if it is not one of the space.

    A vector of zeros stays as it is and is similar to nothing.
    """
    import numpy as np

    array = np.asarray(vector, dtype=np.float32).reshape(-1)
    if array.size != dimension:
        raise InvalidInput("vector_unusable", field="vector", expected=dimension, actual=int(array.size))
    norm = float(np.linalg.norm(array.astype(np.float64)))
    if not np.isfinite(norm):
        raise InvalidInput("vector_not_finite", field="vector")
    return array if norm == 0.0 else (array / norm).astype(np.float32)


def to_blob(vector: Any, dimension: int) -> bytes:
    """A vector as it is stored: little-endian float32 of length one."""
    return unit_vector(vector, dimension).astype("<f4").tobytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """What one search sees. Rows below ``count`` never change; a later snapshot may share the arrays."""

    generation: int
    count: int
    vectors: "NDArray[np.float32]"
    chunk_nos: "NDArray[np.int64]"
    document_ids: "NDArray[np.int64]"
    dead: "NDArray[np.intp]"
    """Rows that were removed, ascending."""
    sketch: Sketch | None = None


class _Matrix:
    """The vectors of one space, as a chain of snapshots; only the holder of ``lock`` makes the next one."""

    def __init__(self, space_id: int) -> None:
        self.space_id = space_id
        self.lock = threading.Lock()
        self.snapshot: _Snapshot | None = None


class VectorIndex:
    """The published vectors of any number of collections, in this process's memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._matrices: dict[int, _Matrix] = {}
        self._lock = threading.Lock()

    def nearest(
        self,
        *,
        collection_id: int,
        space_id: int,
        dimension: int,
        vector: Any,
        limit: int,
        document_ids: AnyOf[int] | None = None,
    ) -> list[Scored]:
        """The ``limit`` vectors most similar to ``vector``, best first, equal ones by chunk number.

        :class:`Conflict` (``space_replaced``) if another space answers for the collection by now.
        """
        query = unit_vector(vector, dimension)
        snapshot = self._current(collection_id, space_id, dimension)
        if snapshot is None or limit < 1:
            return []
        return _best(snapshot, query, limit=limit, document_ids=document_ids)

    def forget(self, collection_id: int) -> None:
        """Give back the memory of a collection."""
        with self._lock:
            self._matrices.pop(collection_id, None)

    def _current(self, collection_id: int, space_id: int, dimension: int) -> _Snapshot | None:
        with self._database.read() as connection:
            state = _state(connection, collection_id)
        if state is None:
            self.forget(collection_id)
            return None
        if state.active_space_id != space_id:
            raise Conflict("space_replaced", space_id=space_id)
        matrix = self._matrix(collection_id, space_id)
        snapshot = matrix.snapshot
        if snapshot is not None and snapshot.generation >= state.generation:
            return snapshot
        with matrix.lock:
            snapshot = matrix.snapshot
            if snapshot is None or snapshot.generation < state.generation:
                snapshot = self._refreshed(snapshot, collection_id, space_id, dimension)
                matrix.snapshot = snapshot
            return snapshot

    def _matrix(self, collection_id: int, space_id: int) -> _Matrix:
        with self._lock:
            matrix = self._matrices.get(collection_id)
            if matrix is None or matrix.space_id < space_id:
                matrix = self._matrices[collection_id] = _Matrix(space_id)
            # A reader that was overtaken by a switch of spaces answers from a matrix of its own and lets it go.
            return matrix if matrix.space_id == space_id else _Matrix(space_id)

    def _refreshed(self, old: _Snapshot | None, collection_id: int, space_id: int, dimension: int) -> _Snapshot | None:
        with self._database.read() as connection:
            state = _state(connection, collection_id)
            if state is None:
                return None
            if state.active_space_id != space_id:
                raise Conflict("space_replaced", space_id=space_id)
            if old is None or old.generation < state.forgotten:
                return _loaded(connection, state, collection_id, space_id, dimension)
            changed = list(
                connection.execute(
                    select(documents.c.id).where(
                        documents.c.collection_id == collection_id, documents.c.generation > old.generation
                    )
                ).scalars()
            )
            rows = _rows(connection, collection_id, space_id, newer_than=old.generation)
            return _extended(old, state.generation, changed, rows)


_STATE = select(
    collections.c.generation,
    collections.c.forgotten,
    collections.c.active_space_id,
    collections.c.chunk_count,
).where(collections.c.id == bindparam("collection"), collections.c.deleted_at.is_(None))


def _state(connection: Connection, collection_id: int) -> Any:
    return connection.execute(_STATE, {"collection": collection_id}).first()


_Rows = Iterator[tuple[list[int], list[int], bytes]]


def _rows(connection: Connection, collection_id: int, space_id: int, *, newer_than: int | None = None) -> _Rows:
    """Chunk numbers, document ids and vectors of visible chunks, a portion at a time."""
    visible = (
        select(version_chunks.c.chunk_no, documents.c.id)
        .join_from(documents, version_chunks, version_chunks.c.version_id == documents.c.current_version_id)
        .where(documents.c.collection_id == collection_id)
    )
    if newer_than is not None:
        visible = visible.where(documents.c.generation > newer_than)
    # A chunk that stands in several places of its version has one vector.
    owners: dict[int, int] = {row.chunk_no: row.id for row in connection.execute(visible)}
    stored = select(embeddings.c.chunk_no, embeddings.c.vector).where(embeddings.c.space_id == space_id)
    # Two plain statements: joined, SQLite would pick a plan that takes a hundred times as long.
    if newer_than is None:
        portions: Iterator[Sequence[Any]] = connection.execute(
            stored, execution_options={"yield_per": _LOADED_AT_ONCE}
        ).partitions()
    else:
        portions = _picked(connection, stored, sorted(owners))
    for portion in portions:
        rows = [row for row in portion if row.chunk_no in owners]
        if rows:
            numbers = [row.chunk_no for row in rows]
            yield numbers, [owners[number] for number in numbers], b"".join(row.vector for row in rows)


def _picked(connection: Connection, stored: Select[Any], numbers: list[int]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(numbers), _PICKED_AT_ONCE):
        batch = numbers[start : start + _PICKED_AT_ONCE]
        yield connection.execute(stored.where(embeddings.c.chunk_no.in_(batch))).all()


def _empty(capacity: int, dimension: int) -> tuple[Any, Any, Any]:
    import numpy as np

    return (
        np.empty((capacity, dimension), np.float32),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
    )


def _loaded(connection: Connection, state: Any, collection_id: int, space_id: int, dimension: int) -> _Snapshot:
    """Everything, from the beginning."""
    import numpy as np

    vectors, chunk_nos, document_ids = _empty(state.chunk_count + state.chunk_count // 8 + 64, dimension)
    start = _Snapshot(
        generation=state.generation,
        count=0,
        vectors=vectors,
        chunk_nos=chunk_nos,
        document_ids=document_ids,
        dead=np.empty(0, np.intp),
    )
    return _extended(start, state.generation, [], _rows(connection, collection_id, space_id))


def _extended(old: _Snapshot, generation: int, changed: list[int], rows: _Rows) -> _Snapshot:
    """``old`` without the rows of ``changed`` documents, and with ``rows``.

    Writes only behind ``old.count``, where no reader of ``old`` looks; needs the lock of the matrix.
    """
    import numpy as np

    vectors, chunk_nos, document_ids = old.vectors, old.chunk_nos, old.document_ids
    dead = old.dead
    if changed and old.count:
        dead = np.union1d(dead, np.flatnonzero(np.isin(document_ids[: old.count], np.asarray(changed, np.int64))))
    count = old.count
    for numbers, owners, blob in rows:
        end = count + len(numbers)
        if end > len(vectors):
            vectors, chunk_nos, document_ids = _grown(vectors, chunk_nos, document_ids, count, end)
        vectors[count:end] = np.frombuffer(blob, "<f4").reshape(len(numbers), -1)
        chunk_nos[count:end] = numbers
        document_ids[count:end] = owners
        count = end
    sketch = old.sketch
    if len(dead) > 1000 and len(dead) * 4 > count:
        keep = np.delete(np.arange(count), dead)
        fresh = _empty(len(keep) + len(keep) // 8 + 64, vectors.shape[1])
        array: Any
        for target, array in zip(fresh, (vectors, chunk_nos, document_ids), strict=True):
            np.take(array, keep, axis=0, out=target[: len(keep)], mode="clip")
        vectors, chunk_nos, document_ids = fresh
        count, dead, sketch = len(keep), dead[:0], None
    return _Snapshot(
        generation=generation,
        count=count,
        vectors=vectors,
        chunk_nos=chunk_nos,
        document_ids=document_ids,
        dead=dead,
        sketch=sketched(sketch, vectors, count),
    )


def _grown(vectors: Any, chunk_nos: Any, document_ids: Any, count: int, needed: int) -> tuple[Any, Any, Any]:
    """The same rows in arrays of twice the size; pages that are not written to yet take no memory."""
    fresh = _empty(max(2 * len(vectors), needed), vectors.shape[1])
    for target, source in zip(fresh, (vectors, chunk_nos, document_ids), strict=True):
        target[:count] = source[:count]
    return fresh


def _best(
    snapshot: _Snapshot, query: "NDArray[np.float32]", *, limit: int, document_ids: AnyOf[int] | None
) -> list[Scored]:
    import numpy as np

    unwanted = snapshot.dead
    if document_ids is not None:
        wanted = np.isin(snapshot.document_ids[: snapshot.count], np.fromiter(document_ids, np.int64))
        wanted[unwanted] = False
        unwanted = np.flatnonzero(~wanted)
    rows = None
    few = (snapshot.count - len(unwanted)) * 8 < snapshot.count
    if not few and snapshot.sketch is not None and snapshot.sketch.is_useful:
        rows = snapshot.sketch.candidates(query, unwanted, limit=limit)
    if rows is None:
        rows = np.delete(np.arange(snapshot.count), unwanted)
        # Gathering a few rows is cheaper than multiplying all; gathering many is not.
        scores = snapshot.vectors[rows] @ query if few else (snapshot.vectors[: snapshot.count] @ query)[rows]
    else:
        scores = snapshot.vectors.take(rows, axis=0) @ query
    scores = np.clip(np.round(scores, _DECIMALS), -1.0, 1.0)
    numbers = snapshot.chunk_nos[rows]
    if limit < len(scores):
        threshold = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        best = np.flatnonzero(scores >= threshold)
        scores, numbers = scores[best], numbers[best]
    order = np.lexsort((numbers, -scores))[:limit]
    return [
        Scored(chunk_no=int(number), score=float(score))
        for number, score in zip(numbers[order], scores[order], strict=True)
    ]
