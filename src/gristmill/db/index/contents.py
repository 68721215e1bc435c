"""What documents show, told by their content rather than searched: for images, which have one chunk each."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from gristmill.db.index.rows import batches
from gristmill.db.schema import documents, embeddings, version_chunks, versions
from gristmill.index.model import Collection, Indexed

__all__ = ["indexed", "known", "vectors"]

_VECTORS = (
    select(documents.c.id, embeddings.c.vector)
    .join_from(documents, version_chunks, version_chunks.c.version_id == documents.c.current_version_id)
    .join(embeddings, embeddings.c.chunk_no == version_chunks.c.chunk_no)
    .where(
        documents.c.id.in_(bindparam("documents", expanding=True)),
        documents.c.collection_id == bindparam("collection"),
        version_chunks.c.position == 0,
        # A sum has no index: SQLite would walk through all vectors of the space.
        embeddings.c.space_id + 0 == bindparam("space"),
    )
)
_INDEXED = (
    select(
        documents.c.id,
        documents.c.name,
        documents.c.media_type,
        versions.c.content_hash,
        versions.c.size,
        versions.c.number,
        versions.c.metadata,
    )
    .join_from(documents, versions, versions.c.id == documents.c.current_version_id)
    .where(documents.c.collection_id == bindparam("collection"), documents.c.deleted_at.is_(None))
    .order_by(documents.c.id)
)
_NAMED = _INDEXED.where(documents.c.id.in_(bindparam("documents", expanding=True)))
_KNOWN = select(versions.c.content_hash).where(versions.c.content_hash.in_(bindparam("hashes", expanding=True)))


def vectors(connection: Connection, collection: Collection, document_ids: Sequence[int]) -> dict[int, Any]:
    """The embedding of each document's first chunk: float32, shape ``(dimension,)``."""
    import numpy as np

    found: dict[int, Any] = {}
    for batch in batches(document_ids):
        values = {"documents": batch, "collection": collection.id, "space": collection.space.id}
        for row in connection.execute(_VECTORS, values):
            found[row.id] = np.frombuffer(row.vector, dtype="<f4")
    return found


def indexed(connection: Connection, collection: Collection, document_ids: Sequence[int] | None) -> list[Indexed]:
    """What the documents show, by document id."""
    if document_ids is None:
        return [_indexed(row) for row in connection.execute(_INDEXED, {"collection": collection.id})]
    found = [
        _indexed(row)
        for batch in batches(document_ids)
        for row in connection.execute(_NAMED, {"collection": collection.id, "documents": batch})
    ]
    return sorted(found, key=lambda one: one.document_id)


def _indexed(row: Any) -> Indexed:
    return Indexed(
        document_id=row.id,
        name=row.name,
        content_hash=row.content_hash,
        size=row.size,
        media_type=row.media_type,
        version=row.number,
        metadata=row.metadata,
    )


def known(connection: Connection, content_hashes: Sequence[str]) -> set[str]:
    """Which of the hashes are those of kept versions."""
    found: set[str] = set()
    for batch in batches(content_hashes):
        found |= set(connection.execute(_KNOWN, {"hashes": batch}).scalars())
    return found
