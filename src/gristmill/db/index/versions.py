"""Statements about versions: begun aside, published by moving one pointer, retired, cleared.

Every function works inside the caller's transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, exists, func, insert, select, update
from sqlalchemy.engine import Connection

from gristmill.db.index import catalogue
from gristmill.db.index.pins import unpinned
from gristmill.db.index.removal import remove_versions
from gristmill.db.index.rows import inserted_id, select_versions, version_from
from gristmill.db.schema import documents, version_chunks, versions
from gristmill.errors import Conflict, NotFound
from gristmill.index.model import DocumentState, Publication, Version, VersionDraft

__all__ = [
    "abandoned",
    "begin",
    "check",
    "chunk_nos",
    "clear",
    "draft",
    "drop_draft",
    "kept",
    "new_row",
    "next_number",
    "point",
    "publish",
    "retire",
]

# Put together once: SQLAlchemy takes longer to build a statement than SQLite to carry it out.
_DOCUMENT: BindParameter[Any] = bindparam("document")
_VERSION: BindParameter[Any] = bindparam("version")
_LIVING = select(documents.c.id).where(documents.c.id == _DOCUMENT, documents.c.deleted_at.is_(None))
_LEFT = select(versions.c.id).where(
    versions.c.document_id == _DOCUMENT, versions.c.task_id == bindparam("task"), versions.c.number.is_(None)
)
_DRAFT = (
    select(versions, documents.c.collection_id, documents.c.current_version_id, documents.c.deleted_at)
    .join(documents, documents.c.id == versions.c.document_id)
    .where(versions.c.id == _VERSION, versions.c.number.is_(None))
)
_HELD_DRAFT = _DRAFT.with_for_update(of=documents)
_NEXT_NUMBER = select(func.coalesce(func.max(versions.c.number), 0) + 1).where(versions.c.document_id == _DOCUMENT)
_NUMBER = (
    update(versions)
    .where(versions.c.id == _VERSION, versions.c.number.is_(None))
    .values({name: bindparam(f"new_{name}") for name in ("number", "published_at", "reused", "deleted")})
)
_POINT = (
    update(documents)
    .where(documents.c.id == _DOCUMENT, documents.c.deleted_at.is_(None))
    .values(
        current_version_id=_VERSION,
        held_version_id=None,
        state=str(DocumentState.INDEXED),
        media_type=bindparam("new_media_type"),
        error=None,
        generation=bindparam("new_generation"),
        indexed_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)
_NEW = insert(versions)
_CHUNKS = select(version_chunks.c.chunk_no).where(version_chunks.c.version_id == _VERSION).distinct()
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
    _remove_left(connection, new.document_id, task_id)
    return inserted_id(connection, _NEW, new_row(new, task_id, now))


def _remove_left(connection: Connection, document_id: int, task_id: str) -> None:
    if stale := list(connection.execute(_LEFT, {"document": document_id, "task": task_id}).scalars()):
        remove_versions(connection, document_id, stale)


def new_row(new: VersionDraft, task_id: str, now: int) -> dict[str, Any]:
    """The values of a version that was just begun."""
    return {
        "document_id": new.document_id,
        "space_id": new.space_id,
        "replaces": new.replaces,
        "task_id": task_id,
        "number": None,
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
        "published_at": None,
    }


def draft(connection: Connection, version_id: int, *, hold: bool = False) -> Any:
    """The row of a version being built, with what is needed of its document.

    :class:`Conflict` (``version_vanished``) if it is not being built any more, and (``document_not_found``) if its
    document was deleted.
    """
    row = connection.execute(_HELD_DRAFT if hold else _DRAFT, {"version": version_id}).first()
    if row is None:
        raise Conflict("version_vanished", version_id=version_id)
    if row.deleted_at is not None:
        raise Conflict("document_not_found", document_id=row.document_id)
    return row


def next_number(connection: Connection, document_id: int) -> int:
    """The number of the next version to be published of the document."""
    return int(connection.execute(_NEXT_NUMBER, {"document": document_id}).scalar_one())


def chunk_nos(connection: Connection, version_id: int) -> set[int]:
    """Which chunks the version has."""
    return set(connection.execute(_CHUNKS, {"version": version_id}).scalars())


def check(connection: Connection, new: Any) -> None:
    """Make sure that a draft row may be published still; :class:`Conflict` says why not."""
    collection = catalogue.by_id(connection, new.collection_id)
    if collection is None:
        raise Conflict("document_not_found", document_id=new.document_id)
    if collection.space.id != new.space_id:
        raise Conflict("space_replaced", document_id=new.document_id)
    if new.current_version_id != new.replaces:
        raise Conflict("document_changed", document_id=new.document_id)


def publish(connection: Connection, new: Any, *, keep_versions: int, now: int) -> Publication:
    """Number and show a draft row that :func:`check` found in order."""
    number = next_number(connection, new.document_id)
    deleted = _count_dropped(connection, new.current_version_id, new.id)
    reused = new.chunk_count - new.embedded
    connection.execute(
        _NUMBER,
        {
            "version": new.id,
            "new_number": number,
            "new_published_at": now,
            "new_reused": reused,
            "new_deleted": deleted,
        },
    )
    published = Publication(
        version_id=new.id,
        number=number,
        chunk_count=new.chunk_count,
        embedded=new.embedded,
        reused=reused,
        deleted=deleted,
    )
    more = published.chunk_count - _chunk_count(connection, new.current_version_id)
    values = {
        "document": new.document_id,
        "version": published.version_id,
        "new_media_type": new.media_type,
        "new_generation": catalogue.advance(connection, new.collection_id, chunks=more),
        "now": now,
    }
    point(connection, [values])
    retire(connection, new.document_id, published, keep_versions=keep_versions)
    return published


def point(connection: Connection, values: Sequence[Mapping[str, Any]]) -> None:
    """Let documents show their new versions."""
    connection.execute(_POINT, values)


def _chunk_count(connection: Connection, version_id: int | None) -> int:
    if version_id is None:
        return 0
    return int(connection.execute(_CHUNK_COUNT, {"version": version_id}).scalar() or 0)


def _count_dropped(connection: Connection, old_id: int | None, new_id: int) -> int:
    if old_id is None:
        return 0
    return int(connection.execute(_DROPPED, {"old": old_id, "new": new_id}).scalar_one())


def retire(connection: Connection, document_id: int, published: Publication, *, keep_versions: int) -> None:
    """Remove the versions beyond the newest ``keep_versions``, of which ``published`` is one, that no snapshot keeps."""
    if published.number == 1:
        return
    beyond = list(connection.execute(_PUBLISHED, {"document": document_id}).scalars())[max(1, keep_versions) :]
    if beyond and (free := unpinned(connection, beyond)):
        remove_versions(connection, document_id, free)


def clear(connection: Connection, document_id: int, *, now: int) -> int:
    """Remove what is published of the document; how many chunks were visible."""
    statement = select(documents).where(documents.c.id == document_id, documents.c.deleted_at.is_(None))
    document = connection.execute(statement.with_for_update()).first()
    if document is None:
        raise NotFound("document_not_found", document_id=document_id)
    count = _chunk_count(connection, document.current_version_id)
    values: dict[str, Any] = {
        "current_version_id": None,
        "held_version_id": None,
        "state": str(DocumentState.REGISTERED),
        "error": None,
        "indexed_at": None,
        "updated_at": now,
    }
    if document.current_version_id is not None:
        values["generation"] = catalogue.advance(connection, document.collection_id, chunks=-count)
    connection.execute(update(documents).where(documents.c.id == document_id).values(values))
    published = select(versions.c.id).where(versions.c.document_id == document_id, versions.c.number.is_not(None))
    remove_versions(connection, document_id, unpinned(connection, list(connection.execute(published).scalars())))
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
