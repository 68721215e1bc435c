"""Everything the index core asks of the outside, on one page.

Method docstrings are the contract that the conformance suite checks on every implementation. All methods are
synchronous and safe to call from several threads and processes at once; an unreachable service raises
:class:`~gristmill.errors.Unavailable`. Readers see each document in its old or its new version, never in between.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

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

__all__ = ["BlobStore", "IndexStore", "QueryEmbedder"]


class IndexStore(Protocol):
    """Collections, their documents, and the versions and chunks of those."""

    def ensure_collection(self, name: str, settings: CollectionSettings) -> Collection:
        """The collection ``name``, created with ``settings`` if there is none; existing settings are left alone."""
        ...

    def collection(self, name: str) -> Collection:
        """With its counts; :class:`NotFound` (``collection_not_found``)."""
        ...

    def collections(self) -> Sequence[Collection]:
        """All, by name, with their counts."""
        ...

    def delete_collection(self, name: str) -> int:
        """Remove the collection and everything in it; how many documents that were."""
        ...

    def register(self, collection: str, documents: Sequence[NewDocument]) -> list[Document]:
        """Make documents known, in the order given; nothing is indexed.

        A document whose ``source`` is known keeps its id and its index; its other fields are brought up to date.
        """
        ...

    def document(self, document_id: int) -> Document:
        """:class:`NotFound` (``document_not_found``)."""
        ...

    def documents_to_index(self, document_ids: Sequence[int]) -> Mapping[int, tuple[Document, Collection]]:
        """Those that exist, with their collections, as they are at one moment."""
        ...

    def documents_by_id(self, document_ids: Sequence[int]) -> Mapping[int, Document]:
        """Those that exist."""
        ...

    def documents(self, where: DocumentFilter, *, limit: int, after: int = 0) -> list[Document]:
        """Up to ``limit`` documents with an id above ``after``, by id."""
        ...

    def count_documents(self, where: DocumentFilter) -> int:
        """How many match."""
        ...

    def delete_documents(self, document_ids: Sequence[int]) -> list[int]:
        """Remove documents with all their versions and chunks, at once for every reader; returns the ids removed."""
        ...

    def purge_deleted(self, *, deleted_before: int) -> int:
        """Remove what deleted documents, collections and spaces left behind, in small transactions.

        Nobody could see it any more. The marks that tell caches of a deletion go too if it happened before the given
        time; how many.
        """
        ...

    def versions(self, document_id: int) -> Sequence[Version]:
        """Published versions that are kept, newest first."""
        ...

    def version(self, document_id: int, number: int) -> Version:
        """One of them; :class:`NotFound` (``document_not_found``, ``version_not_found``)."""
        ...

    def version_chunks(self, document_id: int, number: int) -> Sequence[PlacedChunk]:
        """All chunks of one of them, in order; :class:`NotFound` as :meth:`version`."""
        ...

    def roll_back(self, document_id: int, number: int) -> Document:
        """Let an earlier version answer again, or a later one; durable.

        Nothing is embedded. As long as the source stays as it is now, indexing leaves it at that, unless it is forced.
        :class:`NotFound` as :meth:`version`; :class:`Conflict` (``version_not_embedded``) if the collection's embedder
        was changed and has never seen the version.
        """
        ...

    def take_snapshot(self, collection: str, name: str) -> Snapshot:
        """Keep what the collection shows now, and its settings, under a name; durable.

        :class:`InvalidInput` (``snapshot_name_invalid``) unless the name has 1 to 200 printable characters.
        """
        ...

    def snapshots(self, collection: str) -> Sequence[Snapshot]:
        """Those of the collection, newest first."""
        ...

    def restore(self, collection: str, snapshot_id: int, *, keep_versions: int) -> Restoration:
        """Let the collection show what it showed then, at once for every reader; durable, and nothing is embedded.

        Documents that were deleted since come back, those that came since are removed. A document that was there all
        the time is then held at its version as by :meth:`roll_back`. What the collection showed before is kept as an
        automatic snapshot, in place of the last one; restoring the same again leaves that alone. Versions of living
        documents that nobody keeps by then are removed. :class:`NotFound` (``snapshot_not_found``).
        """
        ...

    def forget_snapshot(self, collection: str, snapshot_id: int, *, keep_versions: int) -> None:
        """Give up a snapshot and what was kept for its sake alone; :class:`NotFound` (``snapshot_not_found``)."""
        ...

    def known_hashes(self, document_id: int, space_id: int, content_hashes: Iterable[str]) -> set[str]:
        """Which of ``content_hashes`` already have an embedding in the space, in this or any other document of it."""
        ...

    def begin_version(self, draft: VersionDraft, *, task_id: str) -> int:
        """Start a version that no reader sees; the id of it. What an earlier attempt of ``task_id`` left is removed."""
        ...

    def stage(self, version_id: int, chunks: Sequence[StagedChunk]) -> None:
        """Add chunks to a version being built.

        A chunk without a vector takes the one the space knows for its hash; :class:`Conflict`
        (``embedding_vanished``) if that is gone by now.
        """
        ...

    def publish(self, transaction: Any, version_id: int, *, keep_versions: int) -> Publication:
        """Make the version the one that readers see, inside ``transaction``.

        :class:`Conflict` (``space_replaced``) if the collection switched embedders since the version began,
        (``document_changed``) if another version than ``draft.replaces`` is published by now, so that older bytes
        never replace newer ones, and (``document_not_found``) if the document was deleted. Versions beyond ``keep_versions`` are removed.
        """
        ...

    def prepare(self, draft: VersionDraft, chunks: Sequence[StagedChunk], *, task_id: str, dimension: int) -> Any:
        """A whole version for :meth:`publish_wholes`, computed as far as it can be without a write transaction."""
        ...

    def publish_wholes(self, transaction: Any, prepared: Sequence[Any], *, keep_versions: int) -> list[Publication]:
        """Begin, stage and publish versions inside ``transaction``, in few statements: for documents of few chunks.

        Raises what :meth:`stage` and :meth:`publish` raise, if there is cause with any of them; then none is published
        and ``transaction`` has to be given up. The second of two for one document is ``document_changed``.
        """
        ...

    def touch(self, transaction: Any, document_id: int, *, size: int, mtime_ns: int | None) -> None:
        """Note, inside ``transaction``, that the bytes were looked at and are those of the published version."""
        ...

    def fail(self, transaction: Any, document_id: int, error: Mapping[str, Any]) -> None:
        """Record why the latest attempt failed, inside ``transaction``; a published version keeps answering."""
        ...

    def clear(self, transaction: Any, document_id: int) -> int:
        """Remove all versions and chunks of a document, inside ``transaction``; how many chunks. It stays registered."""
        ...

    def known_contents(self, content_hashes: Sequence[str]) -> set[str]:
        """Which of these hashes of bytes some version that is kept was made of."""
        ...

    def known_blobs(self, blob_ids: Sequence[str]) -> set[str]:
        """Which of these uploads some registered document refers to."""
        ...

    def purge_abandoned(self, *, started_before: int) -> int:
        """Remove unpublished versions begun before the given time; how many."""
        ...

    def maintain(self) -> int:
        """Begin, beside the running service, whatever keeps searches fast as collections grow; how much there was to do."""
        ...

    def begin_space(self, collection: str, *, embedder: str, model_id: str, dimension: int) -> Space:
        """The space being built for that model, created if there is none; another unfinished one is dropped.

        If the active space already is of that model, it is returned.
        """
        ...

    def chunks_to_embed(self, space_id: int, *, limit: int) -> Sequence[StoredChunk]:
        """Chunks of published versions that have no embedding in the space yet."""
        ...

    def count_to_embed(self, space_id: int) -> int:
        """How many chunks :meth:`chunks_to_embed` would still name."""
        ...

    def add_embeddings(self, space_id: int, vectors: Sequence[tuple[int, Any]]) -> None:
        """Store ``(chunk_no, vector)`` pairs; one that is there already is replaced."""
        ...

    def activate_space(self, transaction: Any, space_id: int) -> bool:
        """Let the space answer searches and drop the old one, inside ``transaction``.

        False, with no effect, if some published chunk has no embedding in it yet.
        """
        ...

    def nearest(
        self, collection: Collection, vector: Any, *, limit: int, where: DocumentFilter | None = None
    ) -> Sequence[Scored]:
        """Visible chunks by cosine similarity, best first."""
        ...

    def text(
        self, collection: Collection, query: str, *, limit: int, where: DocumentFilter | None = None
    ) -> Sequence[Scored]:
        """Visible chunks by BM25 over words and Chinese bigrams, best first; any syntax in ``query`` is plain text."""
        ...

    def vectors(self, collection: Collection, document_ids: Sequence[int]) -> Mapping[int, Any]:
        """The embeddings of the first chunks of these documents, by document; of what is visible."""
        ...

    def indexed(self, collection: Collection, document_ids: Sequence[int] | None = None) -> list[Indexed]:
        """What the documents of the collection, or these of them, show, by document id."""
        ...

    def hits(self, collection: Collection, chunks: Sequence[Scored]) -> Sequence[Hit]:
        """The chunks with their documents and places, in the order given; those no longer visible are left out."""
        ...


class BlobStore(Protocol):
    """Uploaded bytes, by content."""

    def put(self, stream: BinaryIO, *, max_bytes: int) -> tuple[str, int]:
        """Keep the bytes; their id (SHA-256, hex) and size. :class:`LimitExceeded` (``file_too_large``) beyond the cap."""
        ...

    def open(self, blob_id: str) -> AbstractContextManager[Path]:
        """A local file with the bytes, for reading; :class:`NotFound` (``blob_not_found``)."""
        ...

    def purge(self, *, in_use: Callable[[Sequence[str]], set[str]], stored_before: int) -> int:
        """Remove blobs stored before the given time that ``in_use`` does not name; how many."""
        ...


class QueryEmbedder(Protocol):
    """Turns a query into a vector of a space."""

    def __call__(self, space: Space, text: str, /) -> Any:
        """The embedding of ``text`` by the model of ``space``."""
        ...
