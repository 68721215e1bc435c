"""Rows of the index tables as the objects of the model, and the selects that fetch them.

Knows columns; decides nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Insert, Row, Select, TextClause, select, text
from sqlalchemy.engine import Connection

from gristmill.db.schema import collections, documents, spaces, versions
from gristmill.index.model import (
    ChunkPlace,
    Collection,
    Document,
    DocumentState,
    Hit,
    Material,
    Origin,
    Scored,
    SourceState,
    Space,
    Version,
)

__all__ = [
    "BATCH",
    "batches",
    "collection_from",
    "document_from",
    "hit_from",
    "inserted_id",
    "listed",
    "select_collections",
    "select_documents",
    "select_versions",
    "space_from",
    "version_from",
]

BATCH = 500
"""Values bound in one statement; databases limit how many there may be."""

_T = TypeVar("_T")

_VERSION_COLUMNS = [
    column.label(f"version_{column.name}")
    for column in versions.columns
    if column.name not in {"space_id", "task_id", "media_type", "created_at"}
]


def batches(values: Iterable[_T], size: int = BATCH) -> Iterator[list[_T]]:
    """``values`` in lists of at most ``size``."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def listed(dialect: str, name: str) -> TextClause:
    """The values of the parameter ``name``, a JSON array of texts; stands in an ``IN``.

    However many there are, the statement stays the same: a list of parameters would be rendered at each execution.
    """
    if dialect == "postgresql":
        return text(f"SELECT jsonb_array_elements_text(CAST(:{name} AS jsonb))")
    return text(f"SELECT value FROM json_each(:{name})")  # noqa: S608 - the name of a parameter


def inserted_id(connection: Connection, statement: Insert, values: Mapping[str, Any] | None = None) -> int:
    """Execute the insert of one row; the id it got."""
    key = connection.execute(statement, values).inserted_primary_key
    return int(key[0])  # type: ignore[index]  # set for every insert of a single row


def select_collections() -> Select[Any]:
    """Living collections with their active space."""
    space = [spaces.c[name].label(f"space_{name}") for name in ("id", "embedder", "model_id", "dimension")]
    return (
        select(collections, *space)
        .join_from(collections, spaces, spaces.c.id == collections.c.active_space_id)
        .where(collections.c.deleted_at.is_(None))
    )


def collection_from(row: Row[Any]) -> Collection:
    """The collection of a row of :func:`select_collections`."""
    return Collection(
        id=row.id,
        name=row.name,
        chunk_size=row.chunk_size,
        chunk_overlap=row.chunk_overlap,
        space=Space(
            id=row.space_id,
            collection_id=row.id,
            embedder=row.space_embedder,
            model_id=row.space_model_id,
            dimension=row.space_dimension,
        ),
        generation=row.generation,
        created_at=row.created_at,
        document_count=row.document_count,
        chunk_count=row.chunk_count,
    )


def space_from(row: Row[Any]) -> Space:
    """The space of a row of ``spaces``."""
    return Space(
        id=row.id,
        collection_id=row.collection_id,
        embedder=row.embedder,
        model_id=row.model_id,
        dimension=row.dimension,
    )


def select_documents() -> Select[Any]:
    """Living documents with the name of their collection, their current version and the one held back, if any."""
    held = versions.alias("held")
    source = [held.c[name].label(f"held_{name}") for name in ("content_hash", "size", "mtime_ns")]
    return (
        select(documents, collections.c.name.label("collection_name"), *_VERSION_COLUMNS, *source)
        .join_from(documents, collections, collections.c.id == documents.c.collection_id)
        .outerjoin(versions, versions.c.id == documents.c.current_version_id)
        .outerjoin(held, held.c.id == documents.c.held_version_id)
        .where(documents.c.deleted_at.is_(None))
    )


def document_from(row: Row[Any]) -> Document:
    """The document of a row of :func:`select_documents`."""
    version = None if row.version_id is None else version_from(row)
    held = None
    if row.held_content_hash is not None:
        held = SourceState(content_hash=row.held_content_hash, size=row.held_size, mtime_ns=row.held_mtime_ns)
    return Document(
        id=row.id,
        collection=row.collection_name,
        source=row.source,
        origin=Origin(row.origin),
        name=row.name,
        material=Material(row.material),
        state=DocumentState(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
        root=row.root,
        blob_id=row.blob_id,
        declared_type=row.declared_type,
        media_type=row.media_type,
        title=None if version is None else version.title,
        size=row.size,
        mtime_ns=row.mtime_ns,
        indexed_at=row.indexed_at,
        version=version,
        held=held,
        error=row.error,
    )


def select_versions() -> Select[Any]:
    """Published versions."""
    return select(*_VERSION_COLUMNS).where(versions.c.number.is_not(None))


def version_from(row: Row[Any]) -> Version:
    """The version in a row of :func:`select_versions` or :func:`select_documents`."""
    return Version(
        id=row.version_id,
        document_id=row.version_document_id,
        number=row.version_number,
        content_hash=row.version_content_hash,
        settings_hash=row.version_settings_hash,
        size=row.version_size,
        mtime_ns=row.version_mtime_ns,
        chunk_count=row.version_chunk_count,
        embedded=row.version_embedded,
        reused=row.version_reused,
        deleted=row.version_deleted,
        published_at=row.version_published_at,
        title=row.version_title,
        metadata=row.version_metadata,
        notices=tuple(row.version_notices),
    )


def hit_from(row: Any, scored: Scored) -> Hit:
    """The hit for a chunk found with ``scored``."""
    headings: Sequence[str] = row.headings
    return Hit(
        score=scored.score,
        chunk_no=row.chunk_no,
        document_id=row.document_id,
        name=row.name,
        source=row.source,
        title=row.title,
        version=row.number,
        material=Material(row.material),
        text=row.text,
        place=ChunkPlace(start=row.start, end=row.end, page=row.page, headings=tuple(headings), part=row.part),
        position=row.position,
        media_type=row.media_type,
    )
