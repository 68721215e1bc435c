"""Nearest vectors from memory: each process that searches keeps the published vectors of a collection.

The database stays the truth. Every change counts up the collection's generation; a search compares it and first loads
the documents that changed. How vectors are kept and compared is of :mod:`gristmill.db.blocks`.
numpy is imported by the first call that needs it, not with this module.

Memory per vector of 512 dimensions: 1,044 bytes, for short form (512), rest (512), its step, chunk number and document
id; 2,064 bytes for each of the newest 16,384 and wherever short forms do not pay. Removed vectors stay until a quarter
of their block is dead.
"""

import threading
from collections.abc import Collection as AnyOf
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.engine import Connection

from gristmill.db.blocks import Blocks, Portion
from gristmill.db.database import Database
from gristmill.db.schema import collections, documents, embeddings, version_chunks
from gristmill.errors import Conflict, InvalidInput
from gristmill.index.model import Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["VectorIndex", "to_blob", "to_blobs", "unit_vector"]

_LOADED_AT_ONCE = 2000
"""Vectors fetched in one go: large enough to copy fast, small enough not to matter in memory."""
_PICKED_AT_ONCE = 500
"""Values bound in one statement; databases limit how many there may be."""


def unit_vector(vector: Any, dimension: int) -> "NDArray[np.float32]":
    """``vector`` as float32 of length one; :class:`InvalidInput` (``vector_unusable``) if it is not one of the space.

    A vector of zeros stays as it is and is similar to nothing.
    """
    row: NDArray[np.float32] = _unit_rows([vector], dimension)[0]
    return row


def to_blob(vector: Any, dimension: int) -> bytes:
    """A vector as it is stored: little-endian float32 of length one."""
    return to_blobs([vector], dimension)[0]


def to_blobs(vectors: Sequence[Any], dimension: int) -> list[bytes]:
    """Vectors as they are stored; :class:`InvalidInput` as of :func:`unit_vector`."""
    return [row.tobytes() for row in _unit_rows(vectors, dimension).astype("<f4", copy=False)] if vectors else []


def _unit_rows(vectors: Sequence[Any], dimension: int) -> "NDArray[np.float32]":
    import numpy as np

    rows = [np.asarray(vector, dtype=np.float32).reshape(-1) for vector in vectors]
    for row in rows:
        if row.size != dimension:
            raise InvalidInput("vector_unusable", field="vector", expected=dimension, actual=int(row.size))
    matrix = np.stack(rows)
    norms = np.linalg.norm(matrix.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise InvalidInput("vector_not_finite", field="vector")
    return np.asarray(matrix / np.where(norms == 0.0, 1.0, norms), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """What one search sees."""

    generation: int
    vectors: Blocks


class _Matrix:
    """The vectors of one space, as a chain of snapshots; only the holder of ``lock`` makes the next one."""

    def __init__(self, space_id: int, generation: int) -> None:
        self.space_id = space_id
        self.generation = generation
        """That of the collection when the space was seen to answer for it."""
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
        return snapshot.vectors.nearest(query, limit=limit, document_ids=document_ids)

    def maintain(self) -> int:
        """Nothing to do: what is in memory is kept fresh by whoever searches."""
        return 0

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
        matrix = self._matrix(collection_id, space_id, state.generation)
        snapshot = matrix.snapshot
        if snapshot is not None and snapshot.generation >= state.generation:
            return snapshot
        with matrix.lock:
            snapshot = matrix.snapshot
            if snapshot is None or snapshot.generation < state.generation:
                snapshot = self._refreshed(snapshot, collection_id, space_id, dimension)
                matrix.snapshot = snapshot
            return snapshot

    def _matrix(self, collection_id: int, space_id: int, generation: int) -> _Matrix:
        with self._lock:
            matrix = self._matrices.get(collection_id)
            if matrix is None or (matrix.space_id != space_id and matrix.generation < generation):
                matrix = self._matrices[collection_id] = _Matrix(space_id, generation)
            # A reader that was overtaken by a switch of spaces answers from a matrix of its own and lets it go.
            return matrix if matrix.space_id == space_id else _Matrix(space_id, generation)

    def _refreshed(self, old: _Snapshot | None, collection_id: int, space_id: int, dimension: int) -> _Snapshot | None:
        with self._database.read() as connection:
            state = _state(connection, collection_id)
            if state is None:
                return None
            if state.active_space_id != space_id:
                raise Conflict("space_replaced", space_id=space_id)
            if old is None or old.generation < state.forgotten:
                everything = _rows(connection, collection_id, space_id, dimension)
                return _Snapshot(generation=state.generation, vectors=Blocks(dimension=dimension).with_rows(everything))
            changed = connection.execute(
                select(documents.c.id).where(
                    documents.c.collection_id == collection_id, documents.c.generation > old.generation
                )
            ).scalars()
            left = old.vectors.without(changed)
            fresh = _rows(connection, collection_id, space_id, dimension, newer_than=old.generation)
            return _Snapshot(generation=state.generation, vectors=left.with_rows(fresh))


_STATE = select(
    collections.c.generation,
    collections.c.forgotten,
    collections.c.active_space_id,
).where(collections.c.id == bindparam("collection"), collections.c.deleted_at.is_(None))


def _state(connection: Connection, collection_id: int) -> Any:
    return connection.execute(_STATE, {"collection": collection_id}).first()


def _rows(
    connection: Connection, collection_id: int, space_id: int, dimension: int, *, newer_than: int | None = None
) -> Iterator[Portion]:
    """Visible chunks with their documents and vectors, a portion at a time."""
    import numpy as np

    visible = (
        select(version_chunks.c.chunk_no, documents.c.id)
        .join_from(documents, version_chunks, version_chunks.c.version_id == documents.c.current_version_id)
        .where(documents.c.collection_id == collection_id)
    )
    if newer_than is not None:
        visible = visible.where(documents.c.generation > newer_than)
    # A chunk that stands in several places of its version has one vector.
    owners: dict[int, int] = {}
    for portion in connection.execute(visible, execution_options={"yield_per": _LOADED_AT_ONCE}).partitions():
        owners.update((row.chunk_no, row.id) for row in portion)
    stored = select(embeddings.c.chunk_no, embeddings.c.vector).where(embeddings.c.space_id == space_id)
    # Two plain statements: joined, SQLite would pick a plan that takes a hundred times as long.
    if newer_than is None:
        everything = connection.execute(stored, execution_options={"yield_per": _LOADED_AT_ONCE})
        portions: Iterator[Sequence[Any]] = everything.partitions()
    else:
        portions = _picked(connection, stored, sorted(owners))
    for portion in portions:
        rows = [(number, vector) for number, vector in portion if number in owners]
        if rows:
            numbers = [number for number, _ in rows]
            vectors = np.frombuffer(b"".join(vector for _, vector in rows), "<f4").reshape(-1, dimension)
            yield numbers, [owners[number] for number in numbers], vectors


def _picked(connection: Connection, stored: Select[Any], numbers: list[int]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(numbers), _PICKED_AT_ONCE):
        batch = numbers[start : start + _PICKED_AT_ONCE]
        yield connection.execute(stored.where(embeddings.c.chunk_no.in_(batch))).all()
