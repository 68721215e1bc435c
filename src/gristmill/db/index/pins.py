"""What snapshots hold on to: versions, and spaces of embeddings, that are not removed as long as one names them.

Every function works inside the caller's transaction.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Exists, exists, select
from sqlalchemy.engine import Connection

from gristmill.db.index.rows import batches
from gristmill.db.schema import chunks, documents, snapshot_documents, snapshots, version_chunks

__all__ = ["chunk_is_pinned", "document_is_pinned", "pinned_spaces", "unpinned", "version_is_pinned"]


def unpinned(connection: Connection, version_ids: Sequence[int]) -> list[int]:
    """Those versions that no snapshot names, in the order given."""
    pinned: set[int | None] = set()
    for batch in batches(version_ids):
        statement = select(snapshot_documents.c.version_id).where(snapshot_documents.c.version_id.in_(batch))
        pinned.update(connection.execute(statement).scalars())
    return [version_id for version_id in version_ids if version_id not in pinned]


def version_is_pinned(version_id: ColumnElement[int]) -> Exists:
    """Whether a snapshot names the version."""
    return exists().where(snapshot_documents.c.version_id == version_id)


def chunk_is_pinned() -> Exists:
    """Whether a chunk is part of such a version."""
    return exists().where(
        version_chunks.c.chunk_no == chunks.c.no, snapshot_documents.c.version_id == version_chunks.c.version_id
    )


def document_is_pinned() -> Exists:
    """Whether a snapshot names the document."""
    return exists().where(snapshot_documents.c.document_id == documents.c.id)


def pinned_spaces(connection: Connection, collection_id: int) -> set[int]:
    """The spaces that answered when a snapshot of the collection was taken."""
    statement = select(snapshots.c.space_id).where(snapshots.c.collection_id == collection_id)
    return set(connection.execute(statement).scalars())
