"""Short ways to fill an index store, so that a test's text is only about what it tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.ids import content_hash
from gristmill.index.model import (
    ChunkPlace,
    Collection,
    CollectionSettings,
    Document,
    NewDocument,
    Origin,
    Publication,
    Scored,
    StagedChunk,
    VersionDraft,
)

__all__ = ["DIMENSION", "FixedClock", "Shelf", "vector_of"]

DIMENSION = 16


class FixedClock:
    """A clock that stands until it is told to move."""

    def __init__(self) -> None:
        self.micros = 1_000_000_000

    def now(self) -> int:
        return self.micros

    def monotonic(self) -> float:
        return self.micros / 1_000_000


def vector_of(text: str, *, dimension: int = DIMENSION) -> Any:
    """A direction that belongs to ``text``: the same for the same text, unrelated for others."""
    seed = int.from_bytes(content_hash(text).encode()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return vector / np.linalg.norm(vector)


def chunks_of(texts: Sequence[str], *, first: int = 0, vectors: bool = True, name: str = "") -> list[StagedChunk]:
    """A chunk for each text, one after the other."""
    return [
        StagedChunk(
            position=position,
            text=text,
            content_hash=content_hash(text),
            place=ChunkPlace(start=position * 100, end=position * 100 + len(text)),
            vector=vector_of(text) if vectors else None,
            document_name=name,
        )
        for position, text in enumerate(texts, first)
    ]


class Shelf:
    """One collection of a store under test."""

    def __init__(self, store: SqlIndexStore, database: Database, name: str = "books") -> None:
        self.store = store
        self.database = database
        self.name = name
        settings = CollectionSettings(embedder="test", model_id="one", dimension=DIMENSION)
        store.ensure_collection(name, settings)

    @property
    def collection(self) -> Collection:
        """As it is now."""
        return self.store.collection(self.name)

    def document(self, source: str, **fields: Any) -> Document:
        """Registered, with nothing indexed."""
        new = NewDocument(source=source, origin=Origin.PATH, **({"name": source.rsplit("/", 1)[-1]} | fields))
        return self.store.register(self.name, [new])[0]

    def draft(self, document: Document, *, media_type: str = "text/plain") -> VersionDraft:
        """A version that would replace the one published now."""
        published = self.store.document(document.id).version
        return VersionDraft(
            document_id=document.id,
            replaces=None if published is None else published.id,
            space_id=self.collection.space.id,
            content_hash="bytes",
            settings_hash="settings",
            media_type=media_type,
            size=10,
        )

    def begin(self, document: Document, *, task_id: str = "task", media_type: str = "text/plain") -> int:
        """A version being built."""
        return self.store.begin_version(self.draft(document, media_type=media_type), task_id=task_id)

    def whole(self, draft: VersionDraft, texts: Sequence[str], *, vectors: bool = True) -> Publication:
        """All of a version in one transaction."""
        return self.wholes([(draft, texts)], vectors=vectors)[0]

    def wholes(
        self, versions: Sequence[tuple[VersionDraft, Sequence[str]]], *, vectors: bool = True
    ) -> list[Publication]:
        """All of several versions in one transaction."""
        prepared = [
            self.store.prepare(draft, chunks_of(texts, vectors=vectors), task_id="task", dimension=DIMENSION)
            for draft, texts in versions
        ]
        with self.database.write() as transaction:
            return self.store.publish_wholes(transaction, prepared, keep_versions=1)

    def stage(
        self, version_id: int, texts: Sequence[str], *, first: int = 0, vectors: bool = True, name: str = ""
    ) -> None:
        """Chunks with the given texts; with ``vectors`` false, all rely on what the index knows."""
        self.store.stage(version_id, chunks_of(texts, first=first, vectors=vectors, name=name))

    def publish(self, version_id: int, *, keep_versions: int = 1) -> Publication:
        """In a transaction of its own."""
        with self.database.write() as transaction:
            return self.store.publish(transaction, version_id, keep_versions=keep_versions)

    def index(self, document: Document, texts: Sequence[str], *, keep_versions: int = 1) -> Publication:
        """Begin, stage and publish, embedding only what the index does not know."""
        version_id = self.begin(document, task_id=f"index {document.id}")
        known = self.store.known_hashes(document.id, self.collection.space.id, map(content_hash, texts))
        for position, text in enumerate(texts):
            new = content_hash(text) not in known
            self.stage(version_id, [text], first=position, vectors=new, name=document.name)
        return self.publish(version_id, keep_versions=keep_versions)

    def texts(self, found: Sequence[Scored]) -> list[str]:
        """What the found chunks say, in their order."""
        return [hit.text for hit in self.store.hits(self.collection, found)]

    def by_words(self, query: str, **asked: Any) -> list[str]:
        """The texts that a keyword search finds."""
        return self.texts(self.store.text(self.collection, query, **({"limit": 10} | asked)))

    def by_vector(self, text: str, **asked: Any) -> list[str]:
        """The texts nearest to ``text``."""
        return self.texts(self.store.nearest(self.collection, vector_of(text), **({"limit": 10} | asked)))
