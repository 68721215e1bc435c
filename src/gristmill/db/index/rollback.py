"""Statements that let another version of a document answer.

Every function works inside the caller's transaction.
"""

from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.engine import Connection

from gristmill.db.index import catalogue
from gristmill.db.index.rows import select_versions, version_from
from gristmill.db.schema import chunks, documents, embeddings, version_chunks, versions
from gristmill.errors import Conflict, NotFound
from gristmill.index.model import ChunkPlace, DocumentState, PlacedChunk, Version

__all__ = ["newest", "placed_chunks", "roll_back", "version"]


def version(connection: Connection, document_id: int, number: int) -> Version:
    """The published version with that number of a living document; :class:`NotFound`."""
    living = exists().where(documents.c.id == document_id, documents.c.deleted_at.is_(None))
    if not connection.execute(select(living)).scalar_one():
        raise NotFound("document_not_found", document_id=document_id)
    statement = select_versions().where(versions.c.document_id == document_id, versions.c.number == number)
    row = connection.execute(statement).first()
    if row is None:
        raise NotFound("version_not_found", document_id=document_id, number=number)
    return version_from(row)


def placed_chunks(connection: Connection, version_id: int) -> list[PlacedChunk]:
    """The chunks of a version, in order."""
    statement = (
        select(version_chunks, chunks.c.content_hash, chunks.c.headings, chunks.c.text)
        .join(chunks, chunks.c.no == version_chunks.c.chunk_no)
        .where(version_chunks.c.version_id == version_id)
        .order_by(version_chunks.c.position)
    )
    return [
        PlacedChunk(
            position=row.position,
            content_hash=row.content_hash,
            text=row.text,
            place=ChunkPlace(start=row.start, end=row.end, page=row.page, headings=tuple(row.headings), part=row.part),
        )
        for row in connection.execute(statement)
    ]


def newest() -> Select[tuple[int]]:
    """The version that was published last of the document of an enclosing statement."""
    return (
        select(versions.c.id)
        .where(versions.c.document_id == documents.c.id, versions.c.number.is_not(None))
        .order_by(versions.c.number.desc())
        .limit(1)
        .correlate(documents)
    )


def roll_back(connection: Connection, document_id: int, number: int, *, now: int) -> None:
    """Point the document at the version, and hold it there for as long as its source stays as it is."""
    held = select(documents).where(documents.c.id == document_id, documents.c.deleted_at.is_(None)).with_for_update()
    document = connection.execute(held).first()
    target = version(connection, document_id, number)
    if document is None or document.current_version_id == target.id:
        return
    collection = catalogue.by_id(connection, document.collection_id)
    if collection is None:
        raise NotFound("document_not_found", document_id=document_id)
    _check_embedded(connection, target, collection.space.id)
    latest = connection.execute(select(newest().scalar_subquery()).where(documents.c.id == document_id)).scalar_one()
    shown = select(versions.c.chunk_count).where(versions.c.id == document.current_version_id)
    more = target.chunk_count - int(connection.execute(shown).scalar() or 0)
    media_type = select(versions.c.media_type).where(versions.c.id == target.id)
    values = {
        "current_version_id": target.id,
        "held_version_id": None if latest == target.id else latest,
        "state": str(DocumentState.INDEXED),
        "media_type": media_type.scalar_subquery(),
        "error": None,
        "generation": catalogue.advance(connection, collection.id, chunks=more),
        "indexed_at": target.published_at,
        "updated_at": now,
    }
    connection.execute(update(documents).where(documents.c.id == document_id).values(values))


def _check_embedded(connection: Connection, target: Version, space_id: int) -> None:
    embedded = exists().where(embeddings.c.chunk_no == version_chunks.c.chunk_no, embeddings.c.space_id == space_id)
    statement = select(func.count()).where(version_chunks.c.version_id == target.id, ~embedded)
    if missing := connection.execute(statement).scalar_one():
        raise Conflict("version_not_embedded", document_id=target.document_id, number=target.number, count=int(missing))
