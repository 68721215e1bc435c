"""Statements about documents: registering, finding, what became of the latest attempt.

Every function works inside the caller's transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.engine import Connection

from gristmill.db.index import catalogue
from gristmill.db.index.filters import conditions
from gristmill.db.index.rows import batches, document_from, select_documents
from gristmill.db.schema import documents, snapshot_documents, versions
from gristmill.errors import Conflict, NotFound
from gristmill.index.model import Collection, Document, DocumentFilter, DocumentState, NewDocument

__all__ = ["by_id", "by_ids", "count", "find", "known_blobs", "matching_ids", "record_failure", "register", "touch"]


_BY_ID = select_documents().where(documents.c.id == bindparam("document"))
_TOLD = ("origin", "name", "material", "root", "blob_id", "size", "mtime_ns", "declared_type")
_REFRESHED = (*_TOLD, "updated_at")
_KNOWN = select(documents.c.id, documents.c.source, *(documents.c[name] for name in _TOLD)).where(
    documents.c.collection_id == bindparam("collection"),
    documents.c.source.in_(bindparam("sources", expanding=True)),
    documents.c.deleted_at.is_(None),
)
_NEW = insert(documents).returning(documents.c.id, documents.c.source)
_REFRESH = (
    update(documents)
    .where(documents.c.id == bindparam("document"), documents.c.deleted_at.is_(None))
    .values({name: bindparam(f"new_{name}") for name in _REFRESHED})
)
_BY_IDS = select_documents().where(documents.c.id.in_(bindparam("documents", expanding=True)))


def register(connection: Connection, collection: Collection, new: Sequence[NewDocument], *, now: int) -> list[Document]:
    """Insert unknown sources, bring known ones up to date; the documents in the order given."""
    known: dict[str, Any] = {}
    for batch in batches({document.source for document in new}):
        values = {"collection": collection.id, "sources": batch}
        known |= {row.source: row for row in connection.execute(_KNOWN, values)}
    ids = {source: row.id for source, row in known.items()}
    # Of a source named twice, what was said last counts.
    fields = {document.source: _fields(document) | {"updated_at": now} for document in new}
    shared = {
        "collection_id": collection.id,
        "state": str(DocumentState.REGISTERED),
        "generation": collection.generation,
        "created_at": now,
    }
    fresh = [{**shared, "source": source, **values} for source, values in fields.items() if source not in ids]
    stale = [
        {"document": ids[source], **{f"new_{name}": values[name] for name in _REFRESHED}}
        for source, values in fields.items()
        if source in known and any(getattr(known[source], name) != values[name] for name in _TOLD)
    ]
    if stale:
        connection.execute(_REFRESH, stale)
    if fresh:
        ids |= {row.source: row.id for row in connection.execute(_NEW, fresh)}
    if new:
        catalogue.advance(connection, collection.id, documents=len(fresh))
    found = by_ids(connection, list(ids.values()))
    return [found[ids[document.source]] for document in new]


def _fields(document: NewDocument) -> dict[str, Any]:
    return {
        "origin": str(document.origin),
        "name": document.name,
        "material": str(document.material),
        "root": document.root,
        "blob_id": document.blob_id,
        "size": document.size,
        "mtime_ns": document.mtime_ns,
        "declared_type": document.declared_type,
    }


def by_id(connection: Connection, document_id: int) -> Document:
    """The living document; :class:`NotFound`."""
    row = connection.execute(_BY_ID, {"document": document_id}).first()
    if row is None:
        raise NotFound("document_not_found", document_id=document_id)
    return document_from(row)


def by_ids(connection: Connection, document_ids: Sequence[int]) -> dict[int, Document]:
    """Those that live."""
    found: dict[int, Document] = {}
    for batch in batches(document_ids):
        for row in connection.execute(_BY_IDS, {"documents": batch}):
            found[row.id] = document_from(row)
    return found


def find(connection: Connection, where: DocumentFilter, *, limit: int, after: int) -> list[Document]:
    """Up to ``limit`` that match, by id, above ``after``."""
    statement = select_documents().where(*conditions(where), documents.c.id > after)
    return [document_from(row) for row in connection.execute(statement.order_by(documents.c.id).limit(limit))]


def matching_ids(connection: Connection, where: DocumentFilter) -> list[int]:
    """The ids of all that match and have something to search."""
    statement = select(documents.c.id).where(
        documents.c.deleted_at.is_(None), documents.c.current_version_id.is_not(None), *conditions(where)
    )
    return list(connection.execute(statement).scalars())


def count(connection: Connection, where: DocumentFilter) -> int:
    """How many match."""
    statement = select(func.count()).select_from(documents).where(documents.c.deleted_at.is_(None), *conditions(where))
    return int(connection.execute(statement).scalar_one())


def touch(connection: Connection, document_id: int, *, size: int, mtime_ns: int | None, now: int) -> None:
    """The version published last is what the bytes still are; an earlier failure is over."""
    current = connection.execute(
        update(documents)
        .where(
            documents.c.id == document_id,
            documents.c.deleted_at.is_(None),
            documents.c.current_version_id.is_not(None),
        )
        .values(state=str(DocumentState.INDEXED), error=None, updated_at=now)
        .returning(func.coalesce(documents.c.held_version_id, documents.c.current_version_id).label("latest"))
    ).first()
    if current is None:
        by_id(connection, document_id)
        raise Conflict("document_not_indexed", document_id=document_id)
    connection.execute(update(versions).where(versions.c.id == current.latest).values(size=size, mtime_ns=mtime_ns))


def record_failure(connection: Connection, document_id: int, error: Mapping[str, Any], *, now: int) -> None:
    """Keep why the latest attempt failed; of a deleted document there is nothing to keep."""
    connection.execute(
        update(documents)
        .where(documents.c.id == document_id, documents.c.deleted_at.is_(None))
        .values(state=str(DocumentState.FAILED), error=dict(error), updated_at=now)
    )


def known_blobs(connection: Connection, blob_ids: Sequence[str]) -> set[str]:
    """Which uploads a document that is not deleted, or a snapshot, refers to."""
    found: set[str] = set()
    for batch in batches(blob_ids):
        statement = select(documents.c.blob_id).where(documents.c.blob_id.in_(batch), documents.c.deleted_at.is_(None))
        found |= set(connection.execute(statement).scalars())
        kept = select(snapshot_documents.c.blob_id).where(snapshot_documents.c.blob_id.in_(batch))
        found |= set(connection.execute(kept).scalars())
    return found
