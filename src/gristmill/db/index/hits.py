"""Found chunks with everything a reader wants to see of them."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from gristmill.db.index.rows import batches, hit_from
from gristmill.db.schema import chunks, documents, version_chunks, versions
from gristmill.index.model import Hit, Scored

__all__ = ["visible_hits"]


_VISIBLE = (
    select(
        version_chunks.c.chunk_no,
        version_chunks.c.position,
        version_chunks.c.start,
        version_chunks.c.end,
        version_chunks.c.page,
        version_chunks.c.part,
        chunks.c.text,
        chunks.c.headings,
        documents.c.id.label("document_id"),
        documents.c.collection_id,
        documents.c.name,
        documents.c.source,
        documents.c.material,
        documents.c.media_type,
        versions.c.number,
        versions.c.title,
    )
    .join_from(version_chunks, documents, documents.c.current_version_id == version_chunks.c.version_id)
    .join(versions, versions.c.id == version_chunks.c.version_id)
    .join(chunks, chunks.c.no == version_chunks.c.chunk_no)
    .where(version_chunks.c.chunk_no.in_(bindparam("chunks", expanding=True)))
    .order_by(version_chunks.c.position)
)


def visible_hits(connection: Connection, collection_id: int, found: Sequence[Scored]) -> list[Hit]:
    """The visible ones among ``found``, in its order; a chunk that stands in several places gives the first."""
    scored = {chunk.chunk_no: chunk for chunk in found}
    by_number: dict[int, Hit] = {}
    for batch in batches(scored):
        for row in connection.execute(_VISIBLE, {"chunks": batch}):
            # Compared here: as a condition it would tempt SQLite to walk through the collection.
            if row.collection_id == collection_id:
                by_number.setdefault(row.chunk_no, hit_from(row, scored[row.chunk_no]))
    return [by_number[number] for number in scored if number in by_number]
