"""Statements about collections: by name, creation, counts, and the generation that caches compare.

Every function works inside the caller's transaction.
"""

from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy.engine import Connection

from gristmill.db.index.rows import collection_from, inserted_id, select_collections
from gristmill.db.schema import collections, spaces
from gristmill.errors import NotFound
from gristmill.index.model import Collection, CollectionSettings

__all__ = ["advance", "advanced", "all_collections", "by_id", "by_name", "create", "find"]


# Put together once: SQLAlchemy takes as long to build a statement as SQLite to answer it.
_NAMED = select_collections().where(collections.c.name == bindparam("name"))
_NUMBERED = select_collections().where(collections.c.id == bindparam("id")).with_for_update(of=collections)
_ADVANCE = (
    update(collections)
    .where(collections.c.id == bindparam("collection"))
    .values(
        generation=collections.c.generation + 1,
        document_count=collections.c.document_count + bindparam("documents"),
        chunk_count=collections.c.chunk_count + bindparam("chunks"),
    )
    .returning(collections.c.generation, collections.c.active_space_id)
)


def find(connection: Connection, name: str) -> Collection | None:
    """The living collection ``name``, or None."""
    row = connection.execute(_NAMED, {"name": name}).first()
    return None if row is None else collection_from(row)


def by_name(connection: Connection, name: str) -> Collection:
    """The living collection ``name``; :class:`NotFound`."""
    found = find(connection, name)
    if found is None:
        raise NotFound("collection_not_found", collection=name)
    return found


def by_id(connection: Connection, collection_id: int) -> Collection | None:
    """The living collection with that id, or None; its row stays locked until the transaction ends."""
    row = connection.execute(_NUMBERED, {"id": collection_id}).first()
    return None if row is None else collection_from(row)


def all_collections(connection: Connection) -> list[Collection]:
    """All living ones, by name."""
    return [collection_from(row) for row in connection.execute(select_collections().order_by(collections.c.name))]


def create(connection: Connection, name: str, settings: CollectionSettings, *, now: int) -> Collection:
    """A new, empty collection with its first space."""
    first = insert(collections).values(
        name=name,
        chunk_size=settings.chunk_size,
        chunk_overlap=settings.chunk_overlap,
        generation=0,
        forgotten=0,
        document_count=0,
        chunk_count=0,
        created_at=now,
    )
    collection_id = inserted_id(connection, first)
    space = insert(spaces).values(
        collection_id=collection_id,
        embedder=settings.embedder,
        model_id=settings.model_id,
        dimension=settings.dimension,
        created_at=now,
    )
    space_id = inserted_id(connection, space)
    connection.execute(update(collections).where(collections.c.id == collection_id).values(active_space_id=space_id))
    return by_name(connection, name)


def advance(connection: Connection, collection_id: int, *, documents: int = 0, chunks: int = 0) -> int:
    """Count a visible change: the new generation. ``documents`` and ``chunks`` are what it added or took away."""
    return int(advanced(connection, collection_id, documents=documents, chunks=chunks).generation)


def advanced(connection: Connection, collection_id: int, *, documents: int = 0, chunks: int = 0) -> Any:
    """What :func:`advance` does; the ``generation`` and ``active_space_id`` of the row, which is locked from then on."""
    values = {"collection": collection_id, "documents": documents, "chunks": chunks}
    return connection.execute(_ADVANCE, values).one()
