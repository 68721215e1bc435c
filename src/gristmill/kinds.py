"""Every task kind, declared: name, queue, limits, retry policy and payload type. No handler lives here.

Both sides read this page: the submit side to accept a task, the execute side to run it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gristmill.errors import InvalidInput
from gristmill.ids import derived_id
from gristmill.settings.model import KindSettings
from gristmill.tasks.kind import Kind
from gristmill.tasks.retry import RetryPolicy
from gristmill.tasks.secrets import secret

__all__ = [
    "KINDS",
    "QUEUES",
    "BatchIndex",
    "BatchMetadata",
    "BuildDataset",
    "BuildIndex",
    "CleanUp",
    "DeleteIndex",
    "DocumentPipeline",
    "GenerateEmbeddings",
    "GenerateMetadata",
    "IndexDocument",
    "IndexSource",
    "Ping",
    "PostprocessMetadata",
    "PreprocessChunks",
    "ProcessDocument",
    "ReadText",
    "ReembedCollection",
    "Workflow",
    "effective_kinds",
    "text_pass_id",
    "without_secrets",
]


def text_pass_id(task_id: str) -> str:
    """The id of the task that reads the text in what the task has put into the index, if there is one."""
    return derived_id(task_id, "text")


QUEUES = ("default", "documents", "metadata", "images", "analysis")


_MASK = "***"


def without_secrets(source: str) -> str:
    """``source`` as it may be shown: of a URL, neither who asks nor the query, which may be signed."""
    if "://" not in source:
        return source
    address, question, _ = source.partition("?")
    scheme, _, rest = address.partition("://")
    place, slash, path = rest.partition("/")
    place = f"{_MASK}@{place.rpartition('@')[2]}" if "@" in place else place
    return f"{scheme}://{place}{slash}{path}" + (f"?{_MASK}" if question else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Proves that a task makes the round trip; fails, sleeps or works on request, for the doctor and benchmarks."""

    note: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDocument:
    """Index one registered document."""

    doc_id: int
    user_id: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIndex:
    """Index many registered documents, each on its own."""

    doc_ids: list[int]
    user_id: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSource:
    """Register what there is at one place and index what has changed: a folder with all below it, a file, a URL."""

    source: str = field(metadata=secret(without_secrets))
    """A URL, whose query may well open a door, or a path under ``root``."""
    root: str | None = None
    collection: str = "default"
    force: bool = False
    prune: bool = False
    """Whether documents whose files are gone are removed."""
    settle_seconds: float = 0.0
    """Files that were written to within so long are left for later: somebody may be at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteIndex:
    """Remove what was indexed of one document; the document itself stays registered."""

    doc_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessDocument:
    """Parse one document, split it if asked, and keep the text as the task's result."""

    source: str | None = field(default=None, metadata=secret(without_secrets))
    """A URL, whose query may well open a door, or a path under ``root``."""
    root: str | None = None
    blob_id: str | None = None
    """An uploaded file, instead of ``source``."""
    filename: str | None = None
    declared_type: str | None = None
    split: bool = False
    chunk_size: int = 1000
    chunk_overlap: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReembedCollection:
    """Embed every chunk of a collection with another embedder, then switch to it."""

    collection: str
    embedder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildIndex:
    """Bring image datasets up to date, each as a task of its own."""

    dataset_names: list[str]
    distributed: bool = True
    force: bool = False
    root: str | None = None
    """The folder that holds them, instead of the configured one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildDataset:
    """Bring one image dataset up to date: embed what is new or changed, remove what is gone."""

    dataset: str
    """The name of its folder, and of the collection."""
    distributed: bool = True
    """Whether its images go to any worker; otherwise they stay with the engine ``local``."""
    force: bool = False
    root: str | None = None
    """The folder that holds it, instead of the configured one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateEmbeddings:
    """Turn images into vectors: registered ones, which are published together, or one whose vector is the result."""

    images: list[int] | str
    """Ids of registered images, or one image as base64."""
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadText:
    """Read the text in images and scanned pages that are in the index already, so that it can be searched."""

    doc_ids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUp:
    """Remove at once what the sweeper would remove sooner or later: nothing that anybody can still see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateMetadata:
    """Say what one chunk is about."""

    chunk_id: int | str
    chunk_text: str
    document_id: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMetadata:
    """Say of many chunks what each is about: ``chunk_id``, ``chunk_text`` and perhaps ``document_id`` of each."""

    chunks: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPipeline:
    """Say what the chunks of a document are about, and then of all of it."""

    document_id: int | str
    chunks: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessChunks:
    """Look the chunks of a document through before anything is generated."""

    document_id: int | str
    chunks: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessMetadata:
    """Put together what was said of the chunks of a document."""

    document_id: int | str
    results: list[dict[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """Carry out a chain or a group; see :mod:`gristmill.tasks.workflow`."""

    tree: dict[str, Any]
    on_failure: str = "stop"
    undoes: str | None = None
    """The task whose completed parts this undoes."""


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(name="ping", payload=Ping, soft_limit_seconds=60.0, hard_limit_seconds=90.0),
        Kind(name="index_document", payload=IndexDocument, queue="documents"),
        Kind(name="batch_index", payload=BatchIndex, queue="documents"),
        Kind(name="index_source", payload=IndexSource, queue="documents"),
        Kind(name="delete_index", payload=DeleteIndex, queue="documents"),
        Kind(name="process_document", payload=ProcessDocument, queue="documents"),
        Kind(
            name="reembed_collection",
            payload=ReembedCollection,
            queue="documents",
            soft_limit_seconds=24 * 3600.0,
            hard_limit_seconds=25 * 3600.0,
        ),
        Kind(name="build_index", payload=BuildIndex, queue="images"),
        Kind(name="build_dataset", payload=BuildDataset, queue="images"),
        Kind(
            name="generate_embeddings",
            payload=GenerateEmbeddings,
            queue="images",
            soft_limit_seconds=110.0,
            hard_limit_seconds=120.0,
        ),
        Kind(name="read_text", payload=ReadText, queue="images"),
        Kind(name="clean_up", payload=CleanUp),
        Kind(
            name="generate_metadata_for_chunk",
            payload=GenerateMetadata,
            queue="metadata",
            soft_limit_seconds=600.0,
            hard_limit_seconds=660.0,
        ),
        Kind(name="batch_metadata_generation", payload=BatchMetadata, queue="metadata"),
        Kind(name="process_document_pipeline", payload=DocumentPipeline, queue="metadata"),
        Kind(name="preprocess_chunks", payload=PreprocessChunks, queue="metadata"),
        Kind(name="postprocess_metadata", payload=PostprocessMetadata, queue="metadata"),
        Kind(name="workflow", payload=Workflow),
    )
}


def effective_kinds(overrides: Mapping[str, KindSettings]) -> Mapping[str, Kind]:
    """All kinds with the configured overrides; :class:`InvalidInput` (``kind_unknown``) for one that does not exist."""
    for name in overrides:
        if name not in KINDS:
            raise InvalidInput("kind_unknown", kind=name, known=", ".join(sorted(KINDS)))
    return {name: _overridden(kind, overrides[name]) if name in overrides else kind for name, kind in KINDS.items()}


def _overridden(kind: Kind, override: KindSettings) -> Kind:
    def chosen(value: Any, default: Any) -> Any:
        return default if value is None else value

    return replace(
        kind,
        queue=chosen(override.queue, kind.queue),
        soft_limit_seconds=chosen(override.soft_limit_seconds, kind.soft_limit_seconds),
        hard_limit_seconds=chosen(override.hard_limit_seconds, kind.hard_limit_seconds),
        retry=RetryPolicy(
            max_attempts=chosen(override.max_attempts, kind.retry.max_attempts),
            base_seconds=chosen(override.retry_base_seconds, kind.retry.base_seconds),
            cap_seconds=chosen(override.retry_cap_seconds, kind.retry.cap_seconds),
        ),
    )
