"""What readers of an index can come to see, row by row and byte by byte."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select

from gristmill.db.database import Database
from gristmill.db.schema import chunks, documents, embeddings, version_chunks, versions

__all__ = ["Published", "published"]


@dataclass(frozen=True, slots=True)
class Published:
    """The rows of one document that are published; two are equal if no reader could tell them apart."""

    current: int | None
    versions: list[tuple[Any, ...]]
    """Every published version, oldest first, all columns."""
    pieces: list[tuple[int, str, bytes]]
    """Position, text and vector of each chunk of the current version."""
    rows: list[tuple[Any, ...]]
    """The same chunks, all columns of the three tables that hold them."""

    @property
    def texts(self) -> list[str]:
        """The chunks of the current version, in their order."""
        return [text for _, text, _ in self.pieces]


def published(database: Database, document_id: int) -> Published:
    """The published rows of a document, in one consistent view."""
    with database.read() as tx:
        document = tx.execute(select(documents).where(documents.c.id == document_id)).one()
        kept = select(versions).where(versions.c.document_id == document_id, versions.c.published_at.is_not(None))
        known = [tuple(row) for row in tx.execute(kept.order_by(versions.c.number))]
        joined = (
            select(version_chunks, chunks, embeddings)
            .join(chunks, chunks.c.no == version_chunks.c.chunk_no)
            .join(versions, versions.c.id == version_chunks.c.version_id)
            .join(embeddings, and_(embeddings.c.chunk_no == chunks.c.no, embeddings.c.space_id == versions.c.space_id))
            .where(version_chunks.c.version_id == document.current_version_id)
            .order_by(version_chunks.c.position)
        )
        rows = list(tx.execute(joined))
    pieces = [(row.position, row.text, bytes(row.vector)) for row in rows]
    return Published(document.current_version_id, known, pieces, [tuple(row) for row in rows])
