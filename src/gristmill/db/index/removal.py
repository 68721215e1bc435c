"""What is removed, in an order that never shows: first hidden by one small update, then swept away in small portions.

A crash between the two leaves only rows that nobody can see; :func:`sweep` finds them again.
"""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.engine import Connection

from gristmill.db.database import Database
from gristmill.db.index import catalogue, words
from gristmill.db.index.pins import chunk_is_pinned, document_is_pinned, version_is_pinned
from gristmill.db.index.rows import batches
from gristmill.db.schema import chunks, collections, documents, embeddings, snapshots, spaces, version_chunks, versions
from gristmill.index.model import DocumentState

__all__ = ["hidden_values", "hide_collection", "hide_documents", "remove_versions", "sweep", "sweep_document"]

PORTION = 1000
"""Chunks removed in one transaction: tens of milliseconds, so that other writers get their turn."""


def remove_versions(connection: Connection, document_id: int, version_ids: Sequence[int]) -> None:
    """Remove versions and those chunks of the document that no other version has."""
    for batch in batches(version_ids):
        connection.execute(delete(version_chunks).where(version_chunks.c.version_id.in_(batch)))
        connection.execute(delete(versions).where(versions.c.id.in_(batch)))
    unused = ~exists().where(version_chunks.c.chunk_no == chunks.c.no)
    numbers = connection.execute(select(chunks.c.no).where(chunks.c.document_id == document_id, unused)).scalars()
    _remove_chunks(connection, list(numbers))


def _remove_chunks(connection: Connection, chunk_nos: Sequence[int]) -> None:
    words.remove(connection, chunk_nos)
    for batch in batches(chunk_nos):
        connection.execute(delete(chunks).where(chunks.c.no.in_(batch)))


def hide_documents(connection: Connection, document_ids: Sequence[int], *, now: int) -> list[int]:
    """Take documents away from every reader; those that were there. Their rows stay as marks for caches."""
    gone: list[int] = []
    for batch in batches(document_ids):
        gone_documents: Counter[int] = Counter()
        gone_chunks: Counter[int] = Counter()
        found = connection.execute(
            select(documents.c.id, documents.c.collection_id, versions.c.chunk_count)
            .outerjoin_from(documents, versions, versions.c.id == documents.c.current_version_id)
            .where(documents.c.id.in_(batch), documents.c.deleted_at.is_(None))
            # Documents before their collection, as a publication takes them.
            .order_by(documents.c.id)
            .with_for_update(of=documents)
        ).all()
        for row in found:
            gone.append(row.id)
            gone_documents[row.collection_id] += 1
            gone_chunks[row.collection_id] += row.chunk_count or 0
        for collection_id, count in gone_documents.items():
            generation = catalogue.advance(
                connection, collection_id, documents=-count, chunks=-gone_chunks[collection_id]
            )
            connection.execute(
                update(documents)
                .where(
                    documents.c.id.in_(batch),
                    documents.c.collection_id == collection_id,
                    documents.c.deleted_at.is_(None),
                )
                .values(hidden_values(now) | {"generation": generation})
            )
    asked = {document_id: place for place, document_id in enumerate(document_ids)}
    return sorted(gone, key=asked.__getitem__)


def hide_collection(connection: Connection, collection_id: int, *, now: int) -> int:
    """Take a collection and its documents away from every reader, and free its name; how many documents."""
    living = (documents.c.collection_id == collection_id, documents.c.deleted_at.is_(None))
    count: int = connection.execute(select(func.count()).select_from(documents).where(*living)).scalar_one()
    connection.execute(update(documents).where(*living).values(hidden_values(now)))
    connection.execute(delete(snapshots).where(snapshots.c.collection_id == collection_id))
    connection.execute(update(collections).where(collections.c.id == collection_id).values(deleted_at=now))
    return count


def hidden_values(now: int) -> dict[str, object]:
    """What a document that is taken away from every reader is given."""
    return {
        "deleted_at": now,
        "updated_at": now,
        "current_version_id": None,
        "held_version_id": None,
        "state": str(DocumentState.REGISTERED),
        "blob_id": None,
    }


def sweep_document(database: Database, document_id: int) -> None:
    """Remove what a hidden document left, in portions, but for what snapshots keep.

    Versions still being built keep their row, without chunks.
    """
    numbers = [0]
    while numbers:
        with database.write() as connection:
            statement = (
                select(chunks.c.no)
                .join(documents, documents.c.id == chunks.c.document_id)
                .where(documents.c.id == document_id, documents.c.deleted_at.is_not(None), ~chunk_is_pinned())
            )
            numbers = list(connection.execute(statement.limit(PORTION)).scalars())
            for batch in batches(numbers):
                connection.execute(delete(version_chunks).where(version_chunks.c.chunk_no.in_(batch)))
            _remove_chunks(connection, numbers)
            if not numbers:
                published = versions.c.document_id.in_(
                    select(documents.c.id).where(documents.c.id == document_id, documents.c.deleted_at.is_not(None))
                )
                free = (versions.c.number.is_not(None), ~version_is_pinned(versions.c.id))
                connection.execute(delete(versions).where(published, *free))


def sweep(database: Database, *, deleted_before: int) -> int:
    """Remove what hidden documents, collections and spaces left; marks older than the given time go as well.

    The answer is how many marks those were.
    """
    left = exists().where(chunks.c.document_id == documents.c.id, ~chunk_is_pinned().correlate(chunks))
    with database.read() as connection:
        statement = select(documents.c.id).where(documents.c.deleted_at.is_not(None), left)
        unswept = list(connection.execute(statement).scalars())
    for document_id in unswept:
        sweep_document(database, document_id)
    _sweep_embeddings(database)
    with database.write() as connection:
        held = exists().where(documents.c.collection_id == collections.c.id, chunks.c.document_id == documents.c.id)
        connection.execute(delete(collections).where(collections.c.deleted_at.is_not(None), ~held))
        return _forget(connection, deleted_before)


def _sweep_embeddings(database: Database) -> None:
    """Remove the vectors of dropped spaces."""
    ids = [0]
    while ids:
        with database.write() as connection:
            dropped = select(embeddings.c.space_id).where(~exists().where(spaces.c.id == embeddings.c.space_id))
            space_id = connection.execute(dropped.limit(1)).scalar()
            ids = list(
                connection.execute(
                    select(embeddings.c.id).where(embeddings.c.space_id == space_id).limit(PORTION)
                ).scalars()
            )
            for batch in batches(ids):
                connection.execute(delete(embeddings).where(embeddings.c.id.in_(batch)))


def _forget(connection: Connection, deleted_before: int) -> int:
    """Remove old marks of deletion, and tell caches that never saw them to start over."""
    old = (documents.c.deleted_at.is_not(None), documents.c.deleted_at < deleted_before)
    newest = select(documents.c.collection_id, func.max(documents.c.generation).label("generation")).where(*old)
    for row in connection.execute(newest.group_by(documents.c.collection_id)).all():
        connection.execute(
            update(collections)
            .where(collections.c.id == row.collection_id, collections.c.forgotten < row.generation)
            .values(forgotten=row.generation)
        )
    held = exists().where(chunks.c.document_id == documents.c.id) | document_is_pinned()
    removed: int = connection.execute(delete(documents).where(*old, ~held)).rowcount
    return removed
