"""Statements about versions: begun aside, published by moving one pointer, retired, cleared.

Every function works inside the caller's transaction.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, exists, func, insert, select, update
from sqlalchemy.engine import Connection

from gristmill.db.index import catalogue
from gristmill.db.index.removal import remove_versions
from gristmill.db.index.rows import inserted_id, select_versions, version_from
from gristmill.db.schema import documents, version_chunks, versions
from gristmill.errors import Conflict, NotFound
from gristmill.index.model import DocumentState, Publication, Version, VersionDraft

__all__ = ["Target", "abandoned", "begin", "check", "clear", "draft", "drop_draft", "kept", "publish", "target"]

# Put together once: SQLAlchemy takes longer to build a statement than SQLite to carry it out.
_DOCUMENT: BindParameter[Any] = bindparam("document")
_VERSION: BindParameter[Any] = bindparam("version")
_LIVING = select(documents.c.id).where(documents.c.id == _DOCUMENT, documents.c.deleted_at.is_(None))
_TARGET = select(documents.c.collection_id, documents.c.current_version_id).where(
    documents.c.id == _DOCUMENT, documents.c.deleted_at.is_(None)
)
_LEFT = select(versions.c.id).where(
    versions.c.document_id == _DOCUMENT, versions.c.task_id == bindparam("task"), versions.c.number.is_(None)
)
_DRAFT = (
    select(versions, documents.c.collection_id, documents.c.current_version_id, documents.c.deleted_at)
    .join(documents, documents.c.id == versions.c.document_id)
    .where(versions.c.id == _VERSION, versions.c.number.is_(None))
)
_NEXT_NUMBER = select(func.coalesce(func.max(versions.c.number), 0) + 1).where(versions.c.document_id == _DOCUMENT)
_NUMBER = (
    update(versions)
    .where(versions.c.id == _VERSION, versions.c.number.is_(None))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("number", "published_at", "reused", "deleted", "chunk_count", "embedded")
        }
    )
)
_POINT = (
    update(documents)
    .where(documents.c.id == _DOCUMENT, documents.c.deleted_at.is_(None))
    .values(
        current_version_id=_VERSION,
        state=str(DocumentState.INDEXED),
        media_type=bindparam("new_media_type"),
        error=None,
        generation=bindparam("new_generation"),
        indexed_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)
_NEW = insert(versions)
_CHUNK_COUNT = select(versions.c.chunk_count).where(versions.c.id == _VERSION)
_PUBLISHED = (
    select(versions.c.id)
    .where(versions.c.document_id == _DOCUMENT, versions.c.number.is_not(None))
    .order_by(versions.c.number.desc())
)


def _dropped() -> Select[Any]:
    """How many chunks of the old version the new one lacks."""
    new = version_chunks.alias("new")
    still_there = exists().where(new.c.version_id == bindparam("new"), new.c.chunk_no == version_chunks.c.chunk_no)
    return select(func.count(version_chunks.c.chunk_no.distinct())).where(
        version_chunks.c.version_id == bindparam("old"), ~still_there
    )


_DROPPED = _dropped()


def kept(connection: Connection, document_id: int) -> list[Version]:
    """Published versions of a living document, newest first."""
    living = exists().where(documents.c.id == versions.c.document_id, documents.c.deleted_at.is_(None))
    statement = select_versions().where(versions.c.document_id == document_id, living)
    return [version_from(row) for row in connection.execute(statement.order_by(versions.c.number.desc()))]


def begin(connection: Connection, new: VersionDraft, *, task_id: str, now: int) -> int:
    """Insert a version without number; the drafts that the same task left are removed."""
    if connection.execute(_LIVING, {"document": new.document_id}).first() is None:
        raise NotFound("document_not_found", document_id=new.document_id)
    if stale := list(connection.execute(_LEFT, {"document": new.document_id, "task": task_id}).scalars()):
        remove_versions(connection, new.document_id, stale)
    return inserted_id(
        connection,
        _NEW,
        {
            "document_id": new.document_id,
            "space_id": new.space_id,
            "replaces": new.replaces,
            "task_id": task_id,
            "content_hash": new.content_hash,
            "settings_hash": new.settings_hash,
            "media_type": new.media_type,
            "size": new.size,
            "mtime_ns": new.mtime_ns,
            "title": new.title,
            "metadata": dict(new.metadata),
            "notices": [dict(notice) for notice in new.notices],
            "chunk_count": 0,
            "embedded": 0,
            "reused": 0,
            "deleted": 0,
            "created_at": now,
        },
    )


def draft(connection: Connection, version_id: int) -> Any:
    """The row of a version being built, with what is needed of its document.

    :class:`Conflict` (``version_vanished``) if it is not being built any more, and (``document_not_found``) if its
    document was deleted.
    """
    row = connection.execute(_DRAFT, {"version": version_id}).first()
    if row is None:
        raise Conflict("version_vanished", version_id=version_id)
    if row.deleted_at is not None:
        raise Conflict("document_not_found", document_id=row.document_id)
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A version that is begun and published in one transaction: as much of it as a draft row tells."""

    id: int = 0
    document_id: int
    collection_id: int
    space_id: int
    current_version_id: int | None
    replaces: int | None
    media_type: str


def target(connection: Connection, new: VersionDraft) -> Target:
    """Where the version will go; :class:`Conflict` (``document_not_found``) if its document was deleted."""
    row = connection.execute(_TARGET, {"document": new.document_id}).first()
    if row is None:
        raise Conflict("document_not_found", document_id=new.document_id)
    return Target(
        document_id=new.document_id,
        collection_id=row.collection_id,
        space_id=new.space_id,
        current_version_id=row.current_version_id,
        replaces=new.replaces,
        media_type=new.media_type,
    )


def check(connection: Connection, new: Any) -> None:
    """Make sure that a draft row or :class:`Target` may be published still; :class:`Conflict` says why not."""
    collection = catalogue.by_id(connection, new.collection_id)
    if collection is None:
        raise Conflict("document_not_found", document_id=new.document_id)
    if collection.space.id != new.space_id:
        raise Conflict("space_replaced", document_id=new.document_id)
    if new.current_version_id != new.replaces:
        raise Conflict("document_changed", document_id=new.document_id)


def publish(
    connection: Connection, new: Any, *, chunk_count: int, embedded: int, keep_versions: int, now: int
) -> Publication:
    """Point the document at a version that :func:`check` found in order, and count what that changed."""
    number = connection.execute(_NEXT_NUMBER, {"document": new.document_id}).scalar_one()
    chunks_before = _chunk_count(connection, new.current_version_id)
    deleted = _count_dropped(connection, new.current_version_id, new.id)
    reused = chunk_count - embedded
    connection.execute(
        _NUMBER,
        {
            "version": new.id,
            "new_number": number,
            "new_published_at": now,
            "new_reused": reused,
            "new_deleted": deleted,
            "new_chunk_count": chunk_count,
            "new_embedded": embedded,
        },
    )
    generation = catalogue.advance(connection, new.collection_id, chunks=chunk_count - chunks_before)
    connection.execute(
        _POINT,
        {
            "document": new.document_id,
            "version": new.id,
            "new_media_type": new.media_type,
            "new_generation": generation,
            "now": now,
        },
    )
    if number > 1:
        _retire(connection, new.document_id, keep=max(1, keep_versions))
    return Publication(
        version_id=new.id,
        number=number,
        chunk_count=chunk_count,
        embedded=embedded,
        reused=reused,
        deleted=deleted,
    )


def _chunk_count(connection: Connection, version_id: int | None) -> int:
    if version_id is None:
        return 0
    return int(connection.execute(_CHUNK_COUNT, {"version": version_id}).scalar() or 0)


def _count_dropped(connection: Connection, old_id: int | None, new_id: int) -> int:
    if old_id is None:
        return 0
    return int(connection.execute(_DROPPED, {"old": old_id, "new": new_id}).scalar_one())


def _retire(connection: Connection, document_id: int, *, keep: int) -> None:
    if beyond := list(connection.execute(_PUBLISHED, {"document": document_id}).scalars())[keep:]:
        remove_versions(connection, document_id, beyond)


def clear(connection: Connection, document_id: int, *, now: int) -> int:
    """Remove what is published of the document; how many chunks were visible."""
    statement = select(documents).where(documents.c.id == document_id, documents.c.deleted_at.is_(None))
    document = connection.execute(statement).first()
    if document is None:
        raise NotFound("document_not_found", document_id=document_id)
    count = _chunk_count(connection, document.current_version_id)
    values: dict[str, Any] = {
        "current_version_id": None,
        "state": str(DocumentState.REGISTERED),
        "error": None,
        "indexed_at": None,
        "updated_at": now,
    }
    if document.current_version_id is not None:
        values["generation"] = catalogue.advance(connection, document.collection_id, chunks=-count)
    connection.execute(update(documents).where(documents.c.id == document_id).values(values))
    published = select(versions.c.id).where(versions.c.document_id == document_id, versions.c.number.is_not(None))
    remove_versions(connection, document_id, list(connection.execute(published).scalars()))
    return count


def abandoned(connection: Connection, *, started_before: int) -> list[int]:
    """Versions begun before the given time and never published."""
    statement = select(versions.c.id).where(versions.c.number.is_(None), versions.c.created_at < started_before)
    return list(connection.execute(statement).scalars())


def drop_draft(connection: Connection, version_id: int) -> bool:
    """Remove one version if it still is unpublished."""
    row = connection.execute(
        select(versions.c.document_id).where(versions.c.id == version_id, versions.c.number.is_(None))
    ).first()
    if row is None:
        return False
    remove_versions(connection, row.document_id, [version_id])
    return True
