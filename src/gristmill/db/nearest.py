"""Nearest vectors by pgvector: the server compares, and of many vectors an HNSW index says with which.

A space's index is made beside the running service once the space is large enough to need one, because loading first
and building after is many times faster; from then on the server keeps it. Until then every vector is compared.
HNSW: Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small
World Graphs", 2018.
"""

import math
import threading
from collections.abc import Collection as AnyOf
from typing import Any

from sqlalchemy import text

from gristmill.db.database import Database
from gristmill.db.vectors import unit_vector
from gristmill.errors import Conflict
from gristmill.index.model import Scored
from gristmill.logs import get_log

__all__ = ["PgvectorIndex"]

_log = get_log(__name__)

_INDEXED_FROM = 20_000
"""Vectors of a space from which on comparing all takes longer than an answer should."""
_MOST_DIMENSIONS = 2_000
"""What HNSW takes; longer vectors are always all compared."""
_LOOKED_AT = 400
"""Candidates that a search keeps at least: recall grows with it, and time."""
_DECIMALS = 6
_BUILD_MEMORY = "512MB"
_BUILD_LOCK = 0x67726973746E6E
"""Any number that other programs on the database are unlikely to lock: "gristnn"."""

_STATE = text("SELECT active_space_id FROM collections WHERE id = :collection_id AND deleted_at IS NULL")
_SPACES = text("SELECT id, dimension FROM spaces WHERE dimension <= :most ORDER BY id")
_INDEXES = text(
    "SELECT relname AS name, indisvalid AS valid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
    "WHERE relnamespace = current_schema()::regnamespace AND relname LIKE :pattern"
)
_COUNT = text("SELECT count(*) FROM (SELECT 1 FROM embeddings WHERE space_id = :space LIMIT :enough) AS counted")


class PgvectorIndex:
    """The published vectors of any number of collections, where the database can compare them."""

    def __init__(self, database: Database, *, indexed_from: int = _INDEXED_FROM) -> None:
        self._database = database
        self._indexed_from = indexed_from
        self._building = threading.Lock()

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
        if limit < 1:
            return []
        # Numbers of ours, written into the statement: an index on a part of the rows applies to no parameter.
        space, length, collection = int(space_id), int(dimension), int(collection_id)
        among = "" if document_ids is None else "AND documents.id = ANY(:documents)"
        distance = f"embeddings.vector::vector({length}) <=> :query"
        statement = text(
            f"SELECT embeddings.chunk_no, {distance} AS distance FROM embeddings "  # noqa: S608 - see above
            f"WHERE embeddings.space_id = {space} AND EXISTS ("
            "SELECT 1 FROM version_chunks JOIN documents ON documents.current_version_id = version_chunks.version_id "
            f"WHERE version_chunks.chunk_no = embeddings.chunk_no AND documents.collection_id = {collection} {among}) "
            f"ORDER BY {distance}, embeddings.chunk_no LIMIT :limit"
        )
        values: dict[str, Any] = {"query": query, "limit": limit}
        if document_ids is not None:
            values["documents"] = [int(one) for one in document_ids]
        with self._database.read() as connection:
            state = connection.execute(_STATE, {"collection_id": collection_id}).first()
            if state is None:
                return []
            if state.active_space_id != space_id:
                raise Conflict("space_replaced", space_id=space_id)
            # Without going on where candidates turn out to be invisible, fewer than asked for would come back.
            connection.exec_driver_sql(
                f"SET LOCAL hnsw.ef_search = {max(_LOOKED_AT, min(1000, 2 * limit))}; "
                "SET LOCAL hnsw.iterative_scan = strict_order"
            )
            rows = connection.execute(statement, values).all()
        found = [Scored(chunk_no=row.chunk_no, score=_cosine(row.distance)) for row in rows]
        return sorted(found, key=lambda scored: (-scored.score, scored.chunk_no))

    def forget(self, collection_id: int) -> None:
        """Nothing to do: the server has the vectors."""

    def maintain(self) -> int:
        """Make and drop indexes as spaces need them, in the background; how many are missing or left over."""
        if self._building.locked():
            return 0
        changes = self._changes()
        if changes:
            threading.Thread(target=self._carry_out, name="vector-index", daemon=True).start()
        return len(changes)

    def _changes(self) -> list[str]:
        with self._database.read() as connection:
            found = {row.name: row.valid for row in connection.execute(_INDEXES, {"pattern": "embeddings\\_hnsw\\_%"})}
            spaces = {_name(row.id): row for row in connection.execute(_SPACES, {"most": _MOST_DIMENSIONS})}
            large = {
                name
                for name, row in spaces.items()
                if connection.execute(_COUNT, {"space": row.id, "enough": self._indexed_from}).scalar_one()
                >= self._indexed_from
            }
        # One that is not valid is what a broken-off build has left.
        left = [name for name, valid in found.items() if name not in spaces or not valid]
        missing = [name for name in large if not found.get(name)]
        return [f"DROP INDEX CONCURRENTLY IF EXISTS {name}" for name in sorted(left)] + [
            f"CREATE INDEX CONCURRENTLY {name} ON embeddings "
            f"USING hnsw ((vector::vector({spaces[name].dimension})) vector_cosine_ops) WHERE space_id = {spaces[name].id}"
            for name in sorted(missing)
        ]

    def _carry_out(self) -> None:
        with self._building:
            try:
                with self._database.alone() as driver:
                    # Another process may be at it; what it is building would look broken off from here.
                    if not driver.execute("SELECT pg_try_advisory_lock(%s)", (_BUILD_LOCK,)).fetchone()[0]:
                        return
                    driver.execute(f"SET maintenance_work_mem = '{_BUILD_MEMORY}'; SET lock_timeout = 0")
                    for change in self._changes():
                        driver.execute(change)
            except Exception as error:  # noqa: BLE001 - searches go on without it, and the next look tries again
                _log.warning("vectors.index_failed", error=type(error).__name__)


def _name(space_id: int) -> str:
    return f"embeddings_hnsw_{space_id}"


def _cosine(distance: float) -> float:
    # A vector of zeros is similar to nothing.
    return 0.0 if math.isnan(distance) else max(-1.0, min(1.0, round(1.0 - distance, _DECIMALS)))
