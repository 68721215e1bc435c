"""Statements about spaces: a second set of embeddings grows beside the one that answers, then takes over at once.

Every function works inside the caller's transaction.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, exists, func, insert, select, update
from sqlalchemy.engine import Connection

from gristmill.db.index import catalogue
from gristmill.db.index.pins import pinned_spaces
from gristmill.db.index.rows import batches, inserted_id, space_from
from gristmill.db.schema import chunks, collections, documents, embeddings, spaces, version_chunks, versions
from gristmill.db.vectors import to_blob
from gristmill.errors import Conflict, NotFound
from gristmill.index.model import Space, StoredChunk

__all__ = ["activate", "add_embeddings", "begin", "count_to_embed", "to_embed"]


def begin(connection: Connection, collection: str, *, embedder: str, model_id: str, dimension: int, now: int) -> Space:
    """The space of that model: the active one, the one being built, or a new one."""
    found = catalogue.by_name(connection, collection)
    rows = connection.execute(select(spaces).where(spaces.c.collection_id == found.id)).all()
    model = (embedder, model_id, dimension)
    wanted = next((row for row in rows if (row.embedder, row.model_id, row.dimension) == model), None)
    keep = {found.space.id, *pinned_spaces(connection, found.id)} | ({wanted.id} if wanted is not None else set())
    connection.execute(delete(spaces).where(spaces.c.collection_id == found.id, spaces.c.id.not_in(keep)))
    if wanted is not None:
        return space_from(wanted)
    new = insert(spaces).values(
        collection_id=found.id, embedder=embedder, model_id=model_id, dimension=dimension, created_at=now
    )
    return _find(connection, inserted_id(connection, new))


def _find(connection: Connection, space_id: int) -> Space:
    row = connection.execute(select(spaces).where(spaces.c.id == space_id)).first()
    if row is None:
        raise Conflict("space_replaced", space_id=space_id)
    return space_from(row)


def _missing(space: Space, *columns: Any) -> Select[Any]:
    """Chunks of kept versions of the space's collection without an embedding in it."""
    published = exists().where(
        version_chunks.c.chunk_no == chunks.c.no,
        versions.c.id == version_chunks.c.version_id,
        versions.c.number.is_not(None),
    )
    embedded = exists().where(embeddings.c.chunk_no == chunks.c.no, embeddings.c.space_id == space.id)
    return (
        select(*columns)
        .join_from(chunks, documents, documents.c.id == chunks.c.document_id)
        .where(documents.c.collection_id == space.collection_id, documents.c.deleted_at.is_(None), published, ~embedded)
    )


def to_embed(connection: Connection, space_id: int, *, limit: int) -> list[StoredChunk]:
    """Up to ``limit`` chunks that lack an embedding, by number."""
    space = _find(connection, space_id)
    columns = (chunks.c.no, documents.c.name, chunks.c.headings, chunks.c.text)
    statement = _missing(space, *columns).order_by(chunks.c.no).limit(limit)
    # Embeddings arrive by chunk number, so the missing ones mostly lie behind the last; looking there first spares
    # a walk over all that is done.
    last = connection.execute(select(func.max(embeddings.c.chunk_no)).where(embeddings.c.space_id == space_id)).scalar()
    rows = connection.execute(statement.where(chunks.c.no > (last or 0))).all()
    if not rows:
        rows = connection.execute(statement).all()
    return [
        StoredChunk(chunk_no=row.no, document_name=row.name, headings=tuple(row.headings), text=row.text)
        for row in rows
    ]


def count_to_embed(connection: Connection, space_id: int) -> int:
    """How many chunks lack an embedding."""
    statement = _missing(_find(connection, space_id), func.count())
    return int(connection.execute(statement).scalar_one())


def add_embeddings(connection: Connection, space_id: int, vectors: Sequence[tuple[int, Any]]) -> None:
    """Store vectors, in place of those that are there; chunks that are gone by now are left out."""
    dimension = _find(connection, space_id).dimension
    blobs = {chunk_no: to_blob(vector, dimension) for chunk_no, vector in vectors}
    for batch in batches(blobs):
        connection.execute(
            delete(embeddings).where(embeddings.c.space_id == space_id, embeddings.c.chunk_no.in_(batch))
        )
        there = list(connection.execute(select(chunks.c.no).where(chunks.c.no.in_(batch))).scalars())
        if there:
            connection.execute(
                insert(embeddings), [{"chunk_no": no, "space_id": space_id, "vector": blobs[no]} for no in there]
            )


def activate(connection: Connection, space_id: int) -> bool:
    """Make the space the one that answers, if it lacks nothing; the others go, but for what snapshots keep."""
    space = _find(connection, space_id)
    collection = catalogue.by_id(connection, space.collection_id)
    if collection is None:
        raise NotFound("collection_not_found", collection=space.collection_id)
    if collection.space.id == space_id:
        return True
    if connection.execute(_missing(space, chunks.c.no).limit(1)).first() is not None:
        return False
    connection.execute(update(collections).where(collections.c.id == collection.id).values(active_space_id=space_id))
    keep = {space_id, *pinned_spaces(connection, collection.id)}
    connection.execute(delete(spaces).where(spaces.c.collection_id == collection.id, spaces.c.id.not_in(keep)))
    catalogue.advance(connection, collection.id)
    return True
