"""The index store on SQL: where each port method's transaction begins and ends.

The statements are in the neighbouring files; what a method promises stands in :mod:`gristmill.index.ports`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.index import (
    catalogue,
    contents,
    removal,
    rollback,
    snapshots,
    spaces,
    staging,
    versions,
    wholes,
    words,
)
from gristmill.db.index import documents as document_rows
from gristmill.db.index.filters import is_open
from gristmill.db.index.hits import visible_hits
from gristmill.db.nearest import PgvectorIndex
from gristmill.db.vectors import VectorIndex
from gristmill.failpoints import failpoint
from gristmill.index.model import (
    Collection,
    CollectionSettings,
    Document,
    DocumentFilter,
    Hit,
    Indexed,
    NewDocument,
    PlacedChunk,
    Publication,
    Restoration,
    Scored,
    Snapshot,
    Space,
    StagedChunk,
    StoredChunk,
    Version,
    VersionDraft,
)

__all__ = ["SqlIndexStore"]


class SqlIndexStore:
    """Implements :class:`gristmill.index.ports.IndexStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        # Vectors are compared where the database can, else from this process's memory.
        self._vectors = PgvectorIndex(database) if database.dialect == "postgres" else VectorIndex(database)

    def ensure_collection(self, name: str, settings: CollectionSettings) -> Collection:
        with self._database.read() as tx:
            found = catalogue.find(tx, name)
        if found is not None:
            return found
        return self._database.transact(
            lambda tx: catalogue.find(tx, name) or catalogue.create(tx, name, settings, now=self._clock.now()),
            durable=True,
        )

    def collection(self, name: str) -> Collection:
        with self._database.read() as tx:
            return catalogue.by_name(tx, name)

    def collections(self) -> Sequence[Collection]:
        with self._database.read() as tx:
            return catalogue.all_collections(tx)

    def delete_collection(self, name: str) -> int:
        with self._database.write(durable=True) as tx:
            collection = removal.hold(tx, name)
            count = removal.hide_collection(tx, collection.id, now=self._clock.now())
        self._vectors.forget(collection.id)
        self.purge_deleted(deleted_before=0)
        return count

    def register(self, collection: str, documents: Sequence[NewDocument]) -> list[Document]:
        return self._database.transact(
            lambda tx: document_rows.register(tx, catalogue.by_name(tx, collection), documents, now=self._clock.now()),
            durable=True,
        )

    def document(self, document_id: int) -> Document:
        with self._database.read() as tx:
            return document_rows.by_id(tx, document_id)

    def documents_to_index(self, document_ids: Sequence[int]) -> Mapping[int, tuple[Document, Collection]]:
        with self._database.read() as tx:
            found = document_rows.by_ids(tx, document_ids)
            names = {document.collection for document in found.values()}
            collections = {name: catalogue.by_name(tx, name) for name in names}
            return {key: (document, collections[document.collection]) for key, document in found.items()}

    def documents_by_id(self, document_ids: Sequence[int]) -> Mapping[int, Document]:
        with self._database.read() as tx:
            return document_rows.by_ids(tx, document_ids)

    def documents(self, where: DocumentFilter, *, limit: int, after: int = 0) -> list[Document]:
        with self._database.read() as tx:
            return document_rows.find(tx, where, limit=limit, after=after)

    def count_documents(self, where: DocumentFilter) -> int:
        with self._database.read() as tx:
            return document_rows.count(tx, where)

    def delete_documents(self, document_ids: Sequence[int]) -> list[int]:
        with self._database.write(durable=True) as tx:
            removed = removal.hide_documents(tx, document_ids, now=self._clock.now())
        for document_id in removed:
            removal.sweep_document(self._database, document_id)
        return removed

    def purge_deleted(self, *, deleted_before: int) -> int:
        return removal.sweep(self._database, deleted_before=deleted_before)

    def versions(self, document_id: int) -> Sequence[Version]:
        with self._database.read() as tx:
            return versions.kept(tx, document_id)

    def version(self, document_id: int, number: int) -> Version:
        with self._database.read() as tx:
            return rollback.version(tx, document_id, number)

    def version_chunks(self, document_id: int, number: int) -> Sequence[PlacedChunk]:
        with self._database.read() as tx:
            return rollback.placed_chunks(tx, rollback.version(tx, document_id, number).id)

    def roll_back(self, document_id: int, number: int) -> Document:
        def work(tx: Connection) -> Document:
            rollback.roll_back(tx, document_id, number, now=self._clock.now())
            return document_rows.by_id(tx, document_id)

        return self._database.transact(work, durable=True)

    def take_snapshot(self, collection: str, name: str) -> Snapshot:
        return self._database.transact(
            lambda tx: snapshots.take(tx, collection, name, now=self._clock.now()), durable=True, once=True
        )

    def snapshots(self, collection: str) -> Sequence[Snapshot]:
        with self._database.read() as tx:
            return snapshots.of_collection(tx, collection)

    def restore(self, collection: str, snapshot_id: int, *, keep_versions: int) -> Restoration:
        restored, has_given_up = self._database.transact(
            lambda tx: snapshots.restore(tx, collection, snapshot_id, now=self._clock.now()), durable=True
        )
        if has_given_up:
            self._sweep(restored.snapshot.space.collection_id, keep_versions)
        return restored

    def forget_snapshot(self, collection: str, snapshot_id: int, *, keep_versions: int) -> None:
        self._sweep(
            self._database.transact(lambda tx: snapshots.forget(tx, collection, snapshot_id), durable=True),
            keep_versions,
        )

    def _sweep(self, collection_id: int, keep_versions: int) -> None:
        """Remove what was kept for the sake of a snapshot that was given up."""
        removal.sweep_versions(self._database, collection_id, keep_versions=keep_versions)
        self.purge_deleted(deleted_before=0)

    def known_hashes(self, document_id: int, space_id: int, content_hashes: Iterable[str]) -> set[str]:
        del document_id  # A space knows a content whichever of its documents it came with.
        return staging.known_hashes(self._database, space_id, content_hashes)

    def begin_version(self, draft: VersionDraft, *, task_id: str) -> int:
        return self._database.transact(
            lambda tx: versions.begin(tx, draft, task_id=task_id, now=self._clock.now()), once=True
        )

    def stage(self, version_id: int, chunks: Sequence[StagedChunk]) -> None:
        if not chunks:
            return
        with self._database.read() as tx:
            prepared = staging.prepare(tx, versions.draft(tx, version_id), chunks)
        failpoint("before_stage")

        def write(tx: Connection) -> None:
            draft = versions.draft(tx, version_id)
            staging.count(tx, draft, chunks=len(chunks), embedded=staging.stage(tx, draft, prepared))

        self._database.transact(write, once=True)
        failpoint("between_stages")

    def publish(self, transaction: Connection, version_id: int, *, keep_versions: int) -> Publication:
        failpoint("before_publish")
        draft = versions.draft(transaction, version_id, hold=True)
        versions.check(transaction, draft)
        published = versions.publish(transaction, draft, keep_versions=keep_versions, now=self._clock.now())
        failpoint("after_publish")
        return published

    def prepare(
        self, draft: VersionDraft, chunks: Sequence[StagedChunk], *, task_id: str, dimension: int
    ) -> wholes.Whole:
        known: set[str] = set()
        if draft.replaces is not None:
            with self._database.read() as tx:
                known = staging.known_chunks(tx, draft.document_id, chunks)
        prepared = staging.Preparation(chunks, known=known, dimension=dimension)
        failpoint("before_stage")
        return wholes.Whole(draft=draft, task_id=task_id, chunks=prepared)

    def publish_wholes(
        self, transaction: Connection, prepared: Sequence[wholes.Whole], *, keep_versions: int
    ) -> list[Publication]:
        return wholes.publish(transaction, prepared, keep_versions=keep_versions, now=self._clock.now())

    def touch(self, transaction: Connection, document_id: int, *, size: int, mtime_ns: int | None) -> None:
        document_rows.touch(transaction, document_id, size=size, mtime_ns=mtime_ns, now=self._clock.now())

    def fail(self, transaction: Connection, document_id: int, error: Mapping[str, Any]) -> None:
        document_rows.record_failure(transaction, document_id, error, now=self._clock.now())

    def clear(self, transaction: Connection, document_id: int) -> int:
        return versions.clear(transaction, document_id, now=self._clock.now())

    def known_contents(self, content_hashes: Sequence[str]) -> set[str]:
        with self._database.read() as tx:
            return contents.known(tx, content_hashes)

    def known_blobs(self, blob_ids: Sequence[str]) -> set[str]:
        with self._database.read() as tx:
            return document_rows.known_blobs(tx, blob_ids)

    def purge_abandoned(self, *, started_before: int) -> int:
        with self._database.read() as tx:
            found = versions.abandoned(tx, started_before=started_before)
        removed = 0
        for version_id in found:
            with self._database.write() as tx:
                removed += versions.drop_draft(tx, version_id)
        return removed

    def maintain(self) -> int:
        return self._vectors.maintain()

    def begin_space(self, collection: str, *, embedder: str, model_id: str, dimension: int) -> Space:
        with self._database.write() as tx:
            return spaces.begin(
                tx, collection, embedder=embedder, model_id=model_id, dimension=dimension, now=self._clock.now()
            )

    def chunks_to_embed(self, space_id: int, *, limit: int) -> Sequence[StoredChunk]:
        with self._database.read() as tx:
            return spaces.to_embed(tx, space_id, limit=limit)

    def count_to_embed(self, space_id: int) -> int:
        with self._database.read() as tx:
            return spaces.count_to_embed(tx, space_id)

    def add_embeddings(self, space_id: int, vectors: Sequence[tuple[int, Any]]) -> None:
        self._database.transact(lambda tx: spaces.add_embeddings(tx, space_id, vectors))

    def activate_space(self, transaction: Connection, space_id: int) -> bool:
        return spaces.activate(transaction, space_id)

    def nearest(
        self, collection: Collection, vector: Any, *, limit: int, where: DocumentFilter | None = None
    ) -> Sequence[Scored]:
        ids: list[int] | None = None
        if where is not None and not is_open(where):
            with self._database.read() as tx:
                ids = document_rows.matching_ids(tx, replace(where, collection=collection.name))
        return self._vectors.nearest(
            collection_id=collection.id,
            space_id=collection.space.id,
            dimension=collection.space.dimension,
            vector=vector,
            limit=limit,
            document_ids=ids,
        )

    def text(
        self, collection: Collection, query: str, *, limit: int, where: DocumentFilter | None = None
    ) -> Sequence[Scored]:
        inside = None if where is None or is_open(where) else replace(where, collection=None)
        with self._database.read() as tx:
            return words.search(tx, collection, query, limit=limit, where=inside)

    def vectors(self, collection: Collection, document_ids: Sequence[int]) -> Mapping[int, Any]:
        with self._database.read() as tx:
            return contents.vectors(tx, collection, document_ids)

    def indexed(self, collection: Collection, document_ids: Sequence[int] | None = None) -> list[Indexed]:
        with self._database.read() as tx:
            return contents.indexed(tx, collection, document_ids)

    def hits(self, collection: Collection, chunks: Sequence[Scored]) -> Sequence[Hit]:
        with self._database.read() as tx:
            return visible_hits(tx, collection.id, chunks)
