"""The data of the index: collections, documents, versions, chunks and hits.

Offsets count characters; times are microseconds since the epoch; vectors are float32, L2-normalised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = [
    "ChunkPlace",
    "Collection",
    "CollectionSettings",
    "Document",
    "DocumentFilter",
    "DocumentState",
    "Fragment",
    "Hit",
    "Indexed",
    "Material",
    "NewDocument",
    "Origin",
    "PlacedChunk",
    "Publication",
    "Restoration",
    "Scored",
    "SearchMode",
    "Snapshot",
    "SourceState",
    "Space",
    "StagedChunk",
    "StoredChunk",
    "Version",
    "VersionDraft",
]


class Origin(StrEnum):
    """Where the bytes of a document come from."""

    UPLOAD = "upload"
    PATH = "path"
    URL = "url"


class Material(StrEnum):
    """What kind of material a document is; each has a pipeline of its own."""

    TEXT = "text"
    IMAGE = "image"
    CODE = "code"


class DocumentState(StrEnum):
    """What the index holds of a document."""

    REGISTERED = "registered"
    INDEXED = "indexed"
    FAILED = "failed"
    """The latest attempt failed; an earlier version, if any, keeps answering."""


class SearchMode(StrEnum):
    """How hits are found."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    KEYWORD = "keyword"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSettings:
    """How documents of a collection are indexed."""

    embedder: str
    model_id: str
    dimension: int
    chunk_size: int = 1000
    chunk_overlap: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """One set of embeddings of a collection: all made by one model, all of one length."""

    id: int
    collection_id: int
    embedder: str
    model_id: str
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A named set that is searched as a whole."""

    id: int
    name: str
    chunk_size: int
    chunk_overlap: int
    space: Space
    """The embeddings that answer searches now."""
    generation: int
    """Grows with every visible change; caches compare it."""
    created_at: int
    document_count: int = 0
    chunk_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document to be registered; ``source`` identifies it within its collection."""

    source: str
    origin: Origin
    name: str
    material: Material = Material.TEXT
    root: str | None = None
    """For a path: the folder it must not leave."""
    blob_id: str | None = None
    """For an upload: the stored bytes."""
    size: int | None = None
    mtime_ns: int | None = None
    declared_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What a document's bytes were when they were read last."""

    content_hash: str
    size: int | None
    mtime_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One thing handed in."""

    id: int
    collection: str
    source: str
    origin: Origin
    name: str
    material: Material
    state: DocumentState
    created_at: int
    updated_at: int
    root: str | None = None
    blob_id: str | None = None
    declared_type: str | None = None
    media_type: str | None = None
    title: str | None = None
    size: int | None = None
    mtime_ns: int | None = None
    """Size and modification time as last registered, to tell an untouched file without reading it."""
    indexed_at: int | None = None
    version: "Version | None" = None
    """The published version that answers searches."""
    held: SourceState | None = None
    """Set while an older version answers: as long as the source is like this, it is left at that."""
    error: Mapping[str, Any] | None = None
    """``{"type", "code", "facts"}`` of the latest failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One immutable indexing of a document."""

    id: int
    document_id: int
    number: int
    content_hash: str
    settings_hash: str
    size: int | None
    mtime_ns: int | None
    """The file's size and modification time when these bytes were read."""
    chunk_count: int
    embedded: int
    reused: int
    deleted: int
    published_at: int
    title: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notices: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Which versions a collection showed at one moment; they are kept for as long as it is."""

    id: int
    collection: str
    name: str
    is_automatic: bool
    """Taken before another one was restored; the next restoring replaces it."""
    space: "Space"
    chunk_size: int
    chunk_overlap: int
    document_count: int
    chunk_count: int
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """What restoring a snapshot changed."""

    snapshot: Snapshot
    before: Snapshot
    """Leads back."""
    changed: int
    """Documents that show another version now."""
    returned: int
    """Documents that had been deleted since."""
    removed: int
    """Documents that had come since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDraft:
    """What is known of a version before its chunks are."""

    document_id: int
    space_id: int
    replaces: int | None
    """Id of the version that was published when the bytes were read; the new one may follow that one alone."""
    content_hash: str
    """SHA-256 of the bytes."""
    settings_hash: str
    """Hash of parser, splitter and embedding model: what else decides the outcome."""
    media_type: str
    size: int
    mtime_ns: int | None = None
    title: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notices: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlace:
    """Where a chunk stands in its version."""

    start: int
    end: int
    page: int | None = None
    headings: tuple[str, ...] = ()
    part: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedChunk:
    """A chunk of a version as it is kept."""

    position: int
    content_hash: str
    text: str
    place: ChunkPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedChunk:
    """One chunk of a version being built. ``vector`` is None where the index already knows one for ``content_hash``."""

    position: int
    text: str
    content_hash: str
    """Identifies the text to embed (name and headings included), and so the chunk within its document."""
    place: ChunkPlace
    vector: Any | None = None
    document_name: str = ""
    """Found by its words like the text itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """A chunk's text as kept, for embedding it anew."""

    chunk_no: int
    document_name: str
    headings: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What publishing a version changed."""

    version_id: int
    number: int
    chunk_count: int
    embedded: int
    reused: int
    deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFilter:
    """Which documents a list or a search means; an empty field means any."""

    collection: str | None = None
    ids: Sequence[int] = ()
    states: Sequence[DocumentState] = ()
    materials: Sequence[Material] = ()
    media_types: Sequence[str] = ()
    name: str | None = None
    """Glob on the name, such as ``*.pdf``."""
    source_prefix: str | None = None
    text: str | None = None
    """Substring of name or source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A chunk and how well it matches; higher is better, comparable only within one list."""

    chunk_no: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A stretch of a chunk's text with the matched words as ``[start, end)`` offsets into ``text``."""

    text: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """What is known of a document's visible content without reading any of it."""

    document_id: int
    name: str
    content_hash: str
    size: int | None
    media_type: str | None
    version: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One answer line of a search."""

    score: float
    """0-1, higher is better."""
    chunk_no: int
    document_id: int
    name: str
    source: str
    title: str | None
    version: int
    material: Material
    text: str
    place: ChunkPlace
    position: int
    media_type: str | None = None
    vector_score: float | None = None
    """Cosine similarity, if the vector side found it."""
    keyword_score: float | None = None
    highlights: tuple[Fragment, ...] = ()
