"""Versions whose chunks are few: begun, filled and published in one transaction, many at a time.

One statement for each table instead of one for each document; only documents that were indexed before need a look of
their own. Versions of many chunks are built aside, by :mod:`gristmill.db.index.versions` and its neighbours.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, exists, select
from sqlalchemy.engine import Connection

from gristmill.db.bulk import BulkInsert, reserved
from gristmill.db.index import catalogue, staging
from gristmill.db.index import versions as version_rows
from gristmill.db.index.removal import remove_versions
from gristmill.db.schema import chunks, documents, versions
from gristmill.errors import Conflict
from gristmill.failpoints import failpoint
from gristmill.index.model import Publication, VersionDraft

__all__ = ["Whole", "publish"]

_DOCUMENTS: BindParameter[Any] = bindparam("documents", expanding=True)
_NUMBERED = versions.alias("numbered")
_TARGETS = (
    select(
        documents.c.id,
        documents.c.collection_id,
        documents.c.current_version_id,
        versions.c.chunk_count,
        exists().where(chunks.c.document_id == documents.c.id).label("has_chunks"),
        exists()
        .where(_NUMBERED.c.document_id == documents.c.id, _NUMBERED.c.number.is_not(None))
        .label("has_versions"),
    )
    .outerjoin(versions, versions.c.id == documents.c.current_version_id)
    .where(documents.c.id.in_(_DOCUMENTS), documents.c.deleted_at.is_(None))
    # Documents by id and before their collections: whoever changes several comes to them in this order.
    .order_by(documents.c.id)
    .with_for_update(of=documents)
)
_DRAFTS = select(versions.c.id, versions.c.document_id, versions.c.task_id).where(
    versions.c.document_id.in_(_DOCUMENTS), versions.c.number.is_(None)
)
_COLUMNS = tuple(column.name for column in versions.columns)
_NEW_VERSIONS = BulkInsert(versions, *_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A version with all its chunks, ready to be stored."""

    draft: VersionDraft
    task_id: str
    chunks: staging.Preparation


def publish(connection: Connection, wholes: Sequence[Whole], *, keep_versions: int, now: int) -> list[Publication]:
    """Store ``wholes`` and show each in place of the version that it replaces.

    :class:`Conflict` for the first that may not be published; then the transaction has to be given up.
    """
    targets = _targets(connection, wholes)
    generations = _advanced(connection, wholes, targets)
    _remove_left(connection, wholes)
    additions = [_addition(connection, whole, targets[whole.draft.document_id]) for whole in wholes]
    numbers = staging.store_chunks(connection, additions)
    published = _add_versions(connection, wholes, targets, [found.values() for found in numbers], now)
    staging.list_chunks(
        connection,
        (
            (publication.version_id, whole.chunks, found)
            for publication, whole, found in zip(published, wholes, numbers, strict=True)
        ),
    )
    failpoint("between_stages")
    failpoint("before_publish")
    version_rows.point(
        connection,
        [
            {
                "document": whole.draft.document_id,
                "version": publication.version_id,
                "new_media_type": whole.draft.media_type,
                "new_generation": generations[targets[whole.draft.document_id].collection_id],
                "now": now,
            }
            for whole, publication in zip(wholes, published, strict=True)
        ],
    )
    for whole, publication in zip(wholes, published, strict=True):
        version_rows.retire(connection, whole.draft.document_id, publication, keep_versions=keep_versions)
    failpoint("after_publish")
    return published


def _targets(connection: Connection, wholes: Sequence[Whole]) -> dict[int, Any]:
    """The rows of the documents by id, locked."""
    ids = [whole.draft.document_id for whole in wholes]
    targets = {row.id: row for row in connection.execute(_TARGETS, {"documents": ids})}
    seen: set[int] = set()
    for whole in wholes:
        document_id = whole.draft.document_id
        if document_id not in targets:
            raise Conflict("document_not_found", document_id=document_id)
        # Of two for the same document, the second was made before the first was published.
        if targets[document_id].current_version_id != whole.draft.replaces or document_id in seen:
            raise Conflict("document_changed", document_id=document_id)
        seen.add(document_id)
    return targets


def _advanced(connection: Connection, wholes: Sequence[Whole], targets: dict[int, Any]) -> dict[int, int]:
    """Count what the versions change: the new generation of each collection."""
    generations: dict[int, int] = {}
    for collection_id in sorted({row.collection_id for row in targets.values()}):
        inside = [whole for whole in wholes if targets[whole.draft.document_id].collection_id == collection_id]
        more = sum(len(whole.chunks.staged) - (targets[whole.draft.document_id].chunk_count or 0) for whole in inside)
        row = catalogue.advanced(connection, collection_id, chunks=more)
        for whole in inside:
            if whole.draft.space_id != row.active_space_id:
                raise Conflict("space_replaced", document_id=whole.draft.document_id)
        generations[collection_id] = row.generation
    return generations


def _remove_left(connection: Connection, wholes: Sequence[Whole]) -> None:
    """Remove what earlier attempts of the same tasks began."""
    tasks = {whole.draft.document_id: whole.task_id for whole in wholes}
    for row in connection.execute(_DRAFTS, {"documents": list(tasks)}).all():
        if tasks[row.document_id] == row.task_id:
            remove_versions(connection, row.document_id, [row.id])


def _addition(connection: Connection, whole: Whole, target: Any) -> staging.Addition:
    hashes = whole.chunks.hashes
    return staging.Addition(
        document_id=target.id,
        collection_id=target.collection_id,
        space_id=whole.draft.space_id,
        prepared=whole.chunks,
        known=staging.chunk_numbers(connection, target.id, hashes) if target.has_chunks else {},
    )


def _add_versions(
    connection: Connection,
    wholes: Sequence[Whole],
    targets: dict[int, Any],
    chunk_nos: Sequence[Collection[int]],
    now: int,
) -> list[Publication]:
    """Insert the versions with their numbers and counts."""
    rows: list[tuple[Any, ...]] = []
    published: list[Publication] = []
    ids = reserved(connection, versions.c.id, len(wholes))
    for version_id, whole, contents in zip(ids, wholes, chunk_nos, strict=True):
        number, deleted = 1, 0
        target = targets[whole.draft.document_id]
        if target.has_versions:
            number = version_rows.next_number(connection, whole.draft.document_id)
        if (current := target.current_version_id) is not None:
            deleted = len(version_rows.chunk_nos(connection, current).difference(contents))
        embedded = len(whole.chunks.blobs)
        counts = {
            "chunk_count": len(whole.chunks.staged),
            "embedded": embedded,
            "reused": len(whole.chunks.staged) - embedded,
            "deleted": deleted,
        }
        row = version_rows.new_row(whole.draft, whole.task_id, now) | counts
        row |= {"id": version_id, "number": number, "published_at": now}
        rows.append(tuple(row[name] for name in _COLUMNS))
        published.append(Publication(version_id=version_id, number=number, **counts))
    _NEW_VERSIONS(connection, rows)
    return published
