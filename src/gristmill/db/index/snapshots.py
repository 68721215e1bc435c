"""Statements about snapshots: which version each document of a collection showed, kept and shown again.

Every function works inside the caller's transaction. Versions are immutable, so a snapshot is a list of pointers, and
restoring one is setting pointers.
"""

from typing import Any

from sqlalchemy import Select, case, delete, func, insert, literal, select, update
from sqlalchemy.engine import Connection

from gristmill.db.index import catalogue
from gristmill.db.index.pins import pinned_spaces, unpinned
from gristmill.db.index.removal import hidden_values, remove_versions
from gristmill.db.index.rollback import newest
from gristmill.db.index.rows import inserted_id
from gristmill.db.schema import collections, documents, snapshot_documents, snapshots, spaces, versions
from gristmill.errors import NotFound
from gristmill.failpoints import failpoint
from gristmill.index.model import Collection, DocumentState, Restoration, Snapshot, Space

__all__ = ["forget", "left_over", "of_collection", "restore", "take"]

_KEPT = ("name", "blob_id", "size", "mtime_ns")
"""What a document is called and where its bytes are: registering it again may change that."""


def take(connection: Connection, collection_name: str, name: str, *, now: int, is_automatic: bool = False) -> Snapshot:
    """Keep what the collection shows."""
    collection = _held(connection, collection_name)
    snapshot_id = inserted_id(
        connection,
        insert(snapshots).values(
            collection_id=collection.id,
            name=name,
            is_automatic=is_automatic,
            space_id=collection.space.id,
            chunk_size=collection.chunk_size,
            chunk_overlap=collection.chunk_overlap,
            document_count=collection.document_count,
            chunk_count=collection.chunk_count,
            created_at=now,
        ),
    )
    columns = ("document_id", "version_id", *_KEPT)
    shown = select(
        literal(snapshot_id),
        documents.c.id,
        documents.c.current_version_id,
        *(documents.c[column] for column in _KEPT),
    ).where(documents.c.collection_id == collection.id, documents.c.deleted_at.is_(None))
    connection.execute(insert(snapshot_documents).from_select(["snapshot_id", *columns], shown))
    return _find(connection, collection, snapshot_id)


def of_collection(connection: Connection, collection_name: str) -> list[Snapshot]:
    """The snapshots of a collection, newest first."""
    collection = catalogue.by_name(connection, collection_name)
    statement = _select(collection).order_by(snapshots.c.id.desc())
    return [_snapshot(row, collection) for row in connection.execute(statement)]


def restore(connection: Connection, collection_name: str, snapshot_id: int, *, now: int) -> Restoration:
    """Let the collection show what it showed when the snapshot was taken."""
    # Documents by id and before their collection: whoever changes several comes to them in this order.
    found = catalogue.by_name(connection, collection_name)
    inside = documents.c.collection_id == found.id
    connection.execute(select(documents.c.id).where(inside).order_by(documents.c.id).with_for_update()).all()
    collection = _held(connection, collection_name)
    snapshot = _find(connection, collection, snapshot_id)
    before = take(connection, collection_name, snapshot.name, now=now, is_automatic=True)
    mine = snapshot_documents.c.snapshot_id == snapshot_id
    connection.execute(
        delete(snapshots).where(
            snapshots.c.collection_id == collection.id,
            snapshots.c.is_automatic,
            snapshots.c.id.not_in([snapshot_id, before.id]),
        )
    )
    generation = catalogue.advance(connection, collection.id)
    named = select(snapshot_documents.c.document_id).where(mine)
    extra = update(documents).where(inside, documents.c.deleted_at.is_(None), documents.c.id.not_in(named))
    removed: int = connection.execute(extra.values(hidden_values(now) | {"generation": generation})).rowcount
    gone = select(func.count()).where(mine, snapshot_documents.c.document_id == documents.c.id)
    failpoint("between_pointers")
    returned = connection.execute(gone.where(documents.c.deleted_at.is_not(None))).scalar_one()
    changed = connection.execute(_pointed(snapshot_id, generation, now)).rowcount
    connection.execute(_settled(collection.id, snapshot))
    return Restoration(snapshot=snapshot, before=before, changed=changed - returned, returned=returned, removed=removed)


def _pointed(snapshot_id: int, generation: int, now: int) -> Any:
    """The statement that points each document of the snapshot at its version, if it is at another."""
    version = snapshot_documents.c.version_id
    latest = newest().scalar_subquery()
    is_other = documents.c.current_version_id.is_distinct_from(version) | documents.c.deleted_at.is_not(None)
    indexed_at = select(versions.c.published_at).where(versions.c.id == version).scalar_subquery()
    state = case((version.is_(None), str(DocumentState.REGISTERED)), else_=str(DocumentState.INDEXED))
    return (
        update(documents)
        .where(
            snapshot_documents.c.snapshot_id == snapshot_id,
            documents.c.id == snapshot_documents.c.document_id,
            is_other,
        )
        .values(
            current_version_id=version,
            held_version_id=case((version.is_(None) | (version == latest), None), else_=latest),
            state=state,
            error=None,
            generation=generation,
            indexed_at=indexed_at,
            updated_at=now,
            deleted_at=None,
            **{column: snapshot_documents.c[column] for column in _KEPT},
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


def forget(connection: Connection, collection_name: str, snapshot_id: int) -> list[int]:
    """Give up a snapshot; the documents of which it may have kept a version alone."""
    collection = _held(connection, collection_name)
    snapshot = _find(connection, collection, snapshot_id)
    other = (
        select(documents.c.id)
        .join(snapshot_documents, snapshot_documents.c.document_id == documents.c.id)
        .where(
            snapshot_documents.c.snapshot_id == snapshot_id,
            documents.c.current_version_id.is_distinct_from(snapshot_documents.c.version_id),
            snapshot_documents.c.version_id.is_not(None),
        )
    )
    touched = list(connection.execute(other).scalars())
    connection.execute(delete(snapshots).where(snapshots.c.id == snapshot_id))
    kept = pinned_spaces(connection, collection.id) | {collection.space.id}
    if snapshot.space.id not in kept:
        connection.execute(delete(spaces).where(spaces.c.id == snapshot.space.id))
    return touched


def left_over(connection: Connection, document_id: int, *, keep_versions: int) -> None:
    """Remove the versions of a living document that neither it nor a snapshot keeps."""
    document = connection.execute(select(documents).where(documents.c.id == document_id)).first()
    if document is None or document.deleted_at is not None:
        return
    published = (
        select(versions.c.id)
        .where(versions.c.document_id == document_id, versions.c.number.is_not(None))
        .order_by(versions.c.number.desc())
    )
    found = list(connection.execute(published).scalars())
    # One that was cleared keeps none for itself.
    beyond = found[keep_versions:] if document.current_version_id is not None else found
    shown = {document.current_version_id, document.held_version_id}
    if free := unpinned(connection, [version_id for version_id in beyond if version_id not in shown]):
        remove_versions(connection, document_id, free)


def _held(connection: Connection, name: str) -> Collection:
    """The collection, locked: nothing is published in it until the transaction ends."""
    found = catalogue.by_name(connection, name)
    locked = catalogue.by_id(connection, found.id)
    if locked is None:
        raise NotFound("collection_not_found", collection=name)
    return locked


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
