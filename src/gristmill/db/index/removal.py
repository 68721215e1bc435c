"""What is removed, in an order that never shows: first hidden by one small update, then swept away in small portions.

A crash between the two leaves only rows that nobody can see; :func:`sweep` finds them again.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, update
from sqlalchemy.engine import Connection

from gristmill.db.database import Database
from gristmill.db.index import catalogue, words
from gristmill.db.index.pins import chunk_is_pinned, document_is_pinned, version_is_pinned
from gristmill.db.index.rows import batches
from gristmill.db.schema import chunks, collections, documents, embeddings, snapshots, spaces, version_chunks, versions
from gristmill.errors import NotFound
from gristmill.index.model import Collection, DocumentState

__all__ = [
    "hidden_values",
    "hide_collection",
    "hide_documents",
    "hold",
    "remove_versions",
    "sweep",
    "sweep_document",
    "sweep_versions",
]

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


def hold(connection: Connection, name: str) -> Collection:
    """The living collection, in which nobody else changes anything until the transaction ends; :class:`NotFound`.

    Its documents are taken by id and before it: whoever changes several comes to them in this order.
    """
    found = catalogue.by_name(connection, name)
    inside = select(documents.c.id).where(documents.c.collection_id == found.id).order_by(documents.c.id)
    connection.execute(select(func.count()).select_from(inside.with_for_update().subquery()))
    held = catalogue.by_id(connection, found.id)
    if held is None:
        raise NotFound("collection_not_found", collection=name)
    return held


def hide_documents(connection: Connection, document_ids: Sequence[int], *, now: int) -> list[int]:
    """Take documents away from every reader; those that were there. Their rows stay as marks for caches."""
    living: list[int] = []
    for batch in batches(sorted(set(document_ids))):
        # All documents by id, and before their collections: as publications and :func:`hold` take them.
        inside = select(documents.c.id).where(documents.c.id.in_(batch), documents.c.deleted_at.is_(None))
        living += connection.execute(inside.order_by(documents.c.id).with_for_update()).scalars()
    found = [row for batch in batches(living) for row in connection.execute(_shown(batch))]
    for collection_id in sorted({row.collection_id for row in found}):
        gone = {row.id: row.chunk_count or 0 for row in found if row.collection_id == collection_id}
        generation = catalogue.advance(connection, collection_id, documents=-len(gone), chunks=-sum(gone.values()))
        for batch in batches(gone):
            values = hidden_values(now) | {"generation": generation}
            connection.execute(update(documents).where(documents.c.id.in_(batch)).values(values))
    asked = {document_id: place for place, document_id in enumerate(document_ids)}
    return sorted(living, key=asked.__getitem__)


def _shown(document_ids: Sequence[int]) -> Select[Any]:
    # Apart from taking the documents: who waited for one of them would be told nothing of its new version.
    return (
        select(documents.c.id, documents.c.collection_id, versions.c.chunk_count)
        .outerjoin_from(documents, versions, versions.c.id == documents.c.current_version_id)
        .where(documents.c.id.in_(document_ids))
    )


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
    hidden = select(documents.c.id).where(documents.c.id == document_id, documents.c.deleted_at.is_not(None))
    # A version loses its number before its first chunk: should the document come back, it shows none in part.
    published = (versions.c.document_id == document_id, versions.c.number.is_not(None))
    unpublish = update(versions).where(*published, ~version_is_pinned(versions.c.id))
    unpublish = unpublish.values(number=None, published_at=None)
    unkept = select(chunks.c.no).where(chunks.c.document_id == document_id, ~chunk_is_pinned()).limit(PORTION)
    dropped: list[int] = []
    numbers = [0]
    while numbers:
        with database.write() as connection:
            if connection.execute(hidden.with_for_update()).first() is None:
                return
            dropped += connection.execute(unpublish.returning(versions.c.id)).scalars()
            numbers = list(connection.execute(unkept).scalars())
            for batch in batches(numbers):
                connection.execute(delete(version_chunks).where(version_chunks.c.chunk_no.in_(batch)))
            _remove_chunks(connection, numbers)
            if not numbers:
                for batch in batches(dropped):
                    connection.execute(delete(versions).where(versions.c.id.in_(batch)))


def sweep_versions(database: Database, collection_id: int, *, keep_versions: int) -> None:
    """Remove versions of living documents that neither these nor a snapshot keeps, in portions."""
    inside = documents.c.collection_id == collection_id
    with database.read() as connection:
        found = connection.execute(_unkept(inside, keep_versions)).all()
    for portion in _portions(found):
        with database.write() as connection:
            held = select(documents.c.id).where(documents.c.id.in_(portion)).order_by(documents.c.id)
            connection.execute(held.with_for_update()).all()
            free: dict[int, list[int]] = {}
            for row in connection.execute(_unkept(documents.c.id.in_(portion), keep_versions)):
                free.setdefault(row.document_id, []).append(row.id)
            for document_id, version_ids in free.items():
                remove_versions(connection, document_id, version_ids)


def _unkept(which: ColumnElement[bool], keep_versions: int) -> Select[Any]:
    """Versions of those documents beyond the newest ``keep_versions``; one that was cleared keeps none for itself."""
    place = func.row_number().over(partition_by=versions.c.document_id, order_by=versions.c.number.desc())
    published = (
        select(
            versions.c.id,
            versions.c.document_id,
            versions.c.chunk_count,
            documents.c.current_version_id,
            place.label("place"),
        )
        .join_from(versions, documents, documents.c.id == versions.c.document_id)
        .where(which, documents.c.deleted_at.is_(None), versions.c.number.is_not(None))
        .subquery()
    )
    return (
        select(published.c.id, published.c.document_id, published.c.chunk_count)
        .where(
            or_(published.c.place > keep_versions, published.c.current_version_id.is_(None)),
            published.c.id.is_distinct_from(published.c.current_version_id),
            ~version_is_pinned(published.c.id),
        )
        .order_by(published.c.document_id)
    )


def _portions(found: Iterable[Any]) -> Iterator[list[int]]:
    """Documents whose versions among ``found`` have as many chunks together as one transaction may remove."""
    portion: dict[int, None] = {}
    count = 0
    for row in found:
        if count >= PORTION and row.document_id not in portion:
            yield list(portion)
            portion, count = {}, 0
        portion[row.document_id] = None
        # A version without chunks is work as well.
        count += row.chunk_count + 1
    if portion:
        yield list(portion)


def sweep(database: Database, *, deleted_before: int) -> int:
    """Remove what hidden documents, collections and spaces left; marks older than the given time go as well.

    The answer is how many marks those were.
    """
    left = exists().where(chunks.c.document_id == documents.c.id, ~chunk_is_pinned().correlate(chunks))
    numbered = exists().where(
        versions.c.document_id == documents.c.id,
        versions.c.number.is_not(None),
        ~version_is_pinned(versions.c.id).correlate(versions),
    )
    with database.read() as connection:
        statement = select(documents.c.id).where(documents.c.deleted_at.is_not(None), left | numbered)
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
