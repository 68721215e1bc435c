"""Statements about snapshots: which version each document of a collection showed, kept and shown again.

Every function works inside the caller's transaction. Versions are immutable, so a snapshot is a list of pointers, and
restoring one is setting pointers.
"""

from typing import Any

from sqlalchemy import Select, case, delete, func, insert, literal, select, update
from sqlalchemy.engine import Connection

from gristmill.db.index import catalogue
from gristmill.db.index.pins import pinned_spaces
from gristmill.db.index.removal import hidden_values, hold
from gristmill.db.index.rollback import newest
from gristmill.db.index.rows import inserted_id
from gristmill.db.schema import collections, documents, snapshot_documents, snapshots, spaces, versions
from gristmill.errors import InvalidInput, NotFound
from gristmill.failpoints import failpoint
from gristmill.index.model import Collection, DocumentState, Restoration, Snapshot, Space

__all__ = ["forget", "of_collection", "restore", "take"]

_NAME_CHARS = 200
_LOST = ("name", "blob_id", "size", "mtime_ns")
"""What a deleted document may have lost: how it is called, and where its bytes are."""


def take(connection: Connection, collection_name: str, name: str, *, now: int) -> Snapshot:
    """Keep what the collection shows."""
    if not name.strip() or len(name) > _NAME_CHARS or not name.isprintable():
        raise InvalidInput("snapshot_name_invalid", field="name", value=name[:_NAME_CHARS])
    return _take(connection, hold(connection, collection_name), name, now=now, is_automatic=False)


def _take(connection: Connection, collection: Collection, name: str, *, now: int, is_automatic: bool) -> Snapshot:
    new = insert(snapshots).values(
        collection_id=collection.id,
        name=name,
        is_automatic=is_automatic,
        space_id=collection.space.id,
        chunk_size=collection.chunk_size,
        chunk_overlap=collection.chunk_overlap,
        document_count=0,
        chunk_count=0,
        created_at=now,
    )
    snapshot_id = inserted_id(connection, new)
    columns = {"document_id": documents.c.id, "version_id": documents.c.current_version_id}
    columns |= {column: documents.c[column] for column in _LOST}
    shown = (
        select(literal(snapshot_id), *columns.values())
        .where(documents.c.collection_id == collection.id, documents.c.deleted_at.is_(None))
        # Who registered a document since ours were taken may be publishing it, and waits for the collection.
        .with_for_update(read=True, key_share=True, skip_locked=True)
    )
    connection.execute(insert(snapshot_documents).from_select(["snapshot_id", *columns], shown))
    named = snapshot_documents.c.snapshot_id == snapshot_id
    count = select(func.count()).where(named).scalar_subquery()
    chunk_count = (
        select(func.coalesce(func.sum(versions.c.chunk_count), 0))
        .join_from(snapshot_documents, versions, versions.c.id == snapshot_documents.c.version_id)
        .where(named)
        .scalar_subquery()
    )
    counted = update(snapshots).where(snapshots.c.id == snapshot_id)
    connection.execute(counted.values(document_count=count, chunk_count=chunk_count))
    return _find(connection, collection, snapshot_id)


def of_collection(connection: Connection, collection_name: str) -> list[Snapshot]:
    """The snapshots of a collection, newest first."""
    collection = catalogue.by_name(connection, collection_name)
    statement = _select(collection).order_by(snapshots.c.id.desc())
    return [_snapshot(row, collection) for row in connection.execute(statement)]


def restore(connection: Connection, collection_name: str, snapshot_id: int, *, now: int) -> tuple[Restoration, bool]:
    """Let the collection show what it showed when the snapshot was taken; also, whether others were given up for it."""
    collection = hold(connection, collection_name)
    snapshot = _find(connection, collection, snapshot_id)
    earlier = [found for found in of_collection(connection, collection.name) if found.is_automatic]
    earlier = [found for found in earlier if found.id != snapshot_id]
    before = _take(connection, collection, snapshot.name, now=now, is_automatic=True)
    removed, returned, changed = _turn(connection, collection, snapshot, before, now)
    connection.execute(_settled(collection.id, snapshot))
    settings = ((one.space.id, one.chunk_size, one.chunk_overlap) for one in (collection, snapshot))
    if earlier and not (removed or changed or len(set(settings)) > 1):
        # Restored already: what leads back is what was there before that.
        given_up, before = [before], earlier[0]
    else:
        given_up = earlier
    for other in given_up:
        _give_up(connection, other, active_space_id=snapshot.space.id)
    restored = Restoration(
        snapshot=snapshot, before=before, changed=changed - returned, returned=returned, removed=removed
    )
    return restored, bool(given_up)


def _turn(
    connection: Connection, collection: Collection, snapshot: Snapshot, before: Snapshot, now: int
) -> tuple[int, int, int]:
    """Move the pointers: how many documents are gone, are back, and show something else, those that are back included."""
    named, present = (
        select(snapshot_documents.c.document_id).where(snapshot_documents.c.snapshot_id == one.id)
        for one in (snapshot, before)
    )
    generation = catalogue.advance(connection, collection.id)
    extra = update(documents).where(documents.c.id.in_(present), documents.c.id.not_in(named))
    removed: int = connection.execute(extra.values(hidden_values(now) | {"generation": generation})).rowcount
    failpoint("between_pointers")
    gone = select(func.count()).where(documents.c.id.in_(named), documents.c.deleted_at.is_not(None))
    returned: int = connection.execute(gone).scalar_one()
    changed: int = connection.execute(_pointed(snapshot.id, generation, now)).rowcount
    return removed, returned, changed


def _pointed(snapshot_id: int, generation: int, now: int) -> Any:
    """The statement that points each document of the snapshot at its version, if it is at another."""
    version = snapshot_documents.c.version_id
    latest = newest().scalar_subquery()
    is_gone = documents.c.deleted_at.is_not(None)
    indexed_at, media_type = (
        select(column).where(versions.c.id == version).scalar_subquery()
        for column in (versions.c.published_at, versions.c.media_type)
    )
    return (
        update(documents)
        .where(
            snapshot_documents.c.snapshot_id == snapshot_id,
            documents.c.id == snapshot_documents.c.document_id,
            documents.c.current_version_id.is_distinct_from(version) | is_gone,
        )
        .values(
            current_version_id=version,
            held_version_id=case((version.is_(None) | (version == latest), None), else_=latest),
            state=case((version.is_(None), str(DocumentState.REGISTERED)), else_=str(DocumentState.INDEXED)),
            media_type=func.coalesce(media_type, documents.c.media_type),
            error=None,
            generation=generation,
            indexed_at=indexed_at,
            updated_at=now,
            deleted_at=None,
            # One that is there is held against its source, and that is whatever it is now.
            **{column: case((is_gone, snapshot_documents.c[column]), else_=documents.c[column]) for column in _LOST},
        )
    )


def _settled(collection_id: int, snapshot: Snapshot) -> Any:
    """The statement that gives the collection its settings of then, and counts what it shows."""
    living = (documents.c.collection_id == collection_id, documents.c.deleted_at.is_(None))
    count = select(func.count()).select_from(documents).where(*living).scalar_subquery()
    chunk_count = (
        select(func.coalesce(func.sum(versions.c.chunk_count), 0))
        .join_from(documents, versions, versions.c.id == documents.c.current_version_id)
        .where(*living)
        .scalar_subquery()
    )
    return (
        update(collections)
        .where(collections.c.id == collection_id)
        .values(
            active_space_id=snapshot.space.id,
            chunk_size=snapshot.chunk_size,
            chunk_overlap=snapshot.chunk_overlap,
            document_count=count,
            chunk_count=chunk_count,
        )
    )


def forget(connection: Connection, collection_name: str, snapshot_id: int) -> int:
    """Give up a snapshot; the id of its collection."""
    found = catalogue.by_name(connection, collection_name)
    collection = catalogue.by_id(connection, found.id)
    if collection is None:
        raise NotFound("collection_not_found", collection=collection_name)
    _give_up(connection, _find(connection, collection, snapshot_id), active_space_id=collection.space.id)
    return collection.id


def _give_up(connection: Connection, snapshot: Snapshot, *, active_space_id: int) -> None:
    space = snapshot.space
    connection.execute(delete(snapshots).where(snapshots.c.id == snapshot.id))
    if space.id not in pinned_spaces(connection, space.collection_id) | {active_space_id}:
        connection.execute(delete(spaces).where(spaces.c.id == space.id))


def _select(collection: Collection) -> Select[Any]:
    columns = (spaces.c[name].label(f"space_{name}") for name in ("embedder", "model_id", "dimension"))
    return (
        select(snapshots, *columns)
        .join_from(snapshots, spaces, spaces.c.id == snapshots.c.space_id)
        .where(snapshots.c.collection_id == collection.id)
    )


def _find(connection: Connection, collection: Collection, snapshot_id: int) -> Snapshot:
    row = connection.execute(_select(collection).where(snapshots.c.id == snapshot_id)).first()
    if row is None:
        raise NotFound("snapshot_not_found", collection=collection.name, snapshot_id=snapshot_id)
    return _snapshot(row, collection)


def _snapshot(row: Any, collection: Collection) -> Snapshot:
    return Snapshot(
        id=row.id,
        collection=collection.name,
        name=row.name,
        is_automatic=row.is_automatic,
        space=Space(
            id=row.space_id,
            collection_id=collection.id,
            embedder=row.space_embedder,
            model_id=row.space_model_id,
            dimension=row.space_dimension,
        ),
        chunk_size=row.chunk_size,
        chunk_overlap=row.chunk_overlap,
        document_count=row.document_count,
        chunk_count=row.chunk_count,
        created_at=row.created_at,
    )
