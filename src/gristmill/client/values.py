"""What the service answers with, as values. The fields are those of the HTTP API; a test holds them against it.

Times are RFC 3339 texts in UTC. A field that a newer service adds is passed over.
"""

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = [
    "Build",
    "Collection",
    "DatasetBuild",
    "Difference",
    "Document",
    "DuplicateGroup",
    "Event",
    "Failure",
    "Hit",
    "ImageFailure",
    "ImageHit",
    "ImageRecord",
    "Indexed",
    "Message",
    "Progress",
    "Registered",
    "Restoration",
    "Running",
    "Snapshot",
    "Task",
    "Update",
    "Version",
    "VersionSummary",
    "Workflow",
    "WorkflowPart",
    "read",
]

_ValueT = TypeVar("_ValueT")
_FINAL_STATES = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to know, in words, with its code."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an attempt is, in the units of its kind."""

    stage: str
    unit: str
    done: int
    failed: int
    skipped: int
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One tracked unit of work."""

    id: str
    number: int
    kind: str
    queue: str
    engine: str | None
    state: str
    priority: int
    payload: dict[str, Any]
    progress: int
    progress_detail: Progress
    eta_seconds: float | None
    attempt: int
    max_attempts: int
    crash_count: int
    lease: int
    cancel_requested: bool
    created_at: str
    updated_at: str
    scheduled_at: str | None
    started_at: str | None
    finished_at: str | None
    worker_id: str | None
    parent_id: str | None
    collection: str | None
    user_id: int | None
    result: dict[str, Any] | None
    item_count: int
    error: Message | None

    @property
    def has_ended(self) -> bool:
        """Whether only an explicit retry can change it any more."""
        return self.state in _FINAL_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a task."""

    seq: int
    task_id: str
    at: str
    name: str
    attempt: int
    lease: int
    worker_id: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How far a task is, of which nothing else changed."""

    id: str
    progress: int
    progress_detail: Progress
    eta_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What happened to tasks; ``cursor`` is where to go on from."""

    cursor: str
    events: list[Event]
    tasks: list[Task]
    running: list[Running]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSummary:
    """The version of a document that answers searches."""

    number: int
    chunks: int
    embedded: int
    reused: int
    deleted: int
    size: int | None
    published_at: str | None
    notices: list[Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(VersionSummary):
    """A version that is kept."""

    is_current: bool
    content_hash: str
    title: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One thing handed in."""

    id: int
    collection: str
    name: str
    source: str
    origin: str
    material: str
    state: str
    media_type: str | None
    title: str | None
    size: int | None
    created_at: str
    updated_at: str
    indexed_at: str | None
    version: VersionSummary | None
    error: Message | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that could not be registered."""

    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What became of things that were handed in."""

    documents: list[Document]
    failed: list[Failure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """What became of everything that was to be indexed."""

    task: Task | None
    """None if nothing could be registered."""
    documents: list[Document]
    failed: list[Failure]
    """What could not even be registered; why a document could not be indexed is in its ``error``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HitDocument:
    """The document of a hit."""

    id: int
    name: str
    source: str
    title: str | None
    media_type: str | None
    material: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HitChunk:
    """The part of the document that was found."""

    no: int
    position: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HitHighlight:
    """A stretch of the chunk with the matched words as ``[start, end)``."""

    text: str
    ranges: list[list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HitLocation:
    """Where the chunk stands."""

    page: int | None
    start: int
    end: int
    headings: list[str]
    part: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One line of a search's answer."""

    score: float
    document: HitDocument
    version: int
    chunk: HitChunk
    highlights: list[HitHighlight]
    location: HitLocation
    vector_score: float | None
    keyword_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A named set that is searched as a whole."""

    name: str
    embedder: str
    model: str
    dimension: int
    chunk_size: int
    chunk_overlap: int
    documents: int
    chunks: int
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a collection showed at one moment."""

    id: int
    name: str
    is_automatic: bool
    embedder: str
    chunk_size: int
    chunk_overlap: int
    documents: int
    chunks: int
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """What restoring a snapshot changed; ``before`` leads back."""

    before: Snapshot
    changed: int
    returned: int
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What lies between two versions, by chunks; ``changes`` as the HTTP reference describes them."""

    added: int
    removed: int
    changed: int
    unchanged: int
    changes: list[dict[str, Any]]
    next_offset: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowPart:
    """One place in a workflow."""

    form: str
    kind: str | None
    task_id: str | None
    state: str | None
    parts: list["WorkflowPart"]
    omitted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow and how far all of it is."""

    task: Task
    on_failure: str
    steps: int
    progress: int
    counts: dict[str, int]
    root: WorkflowPart


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFailure:
    """An image that is not in the index as it should be."""

    doc_id: int | None
    name: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetBuild:
    """One dataset of a build; all counts are images."""

    dataset: str
    task_id: str
    status: str
    stage: str
    progress: int
    total: int | None
    done: int
    failed: int
    skipped: int
    eta_seconds: float | None
    computed_by: dict[str, int]
    message: str
    failures: list[ImageFailure]
    result: dict[str, Any] | None
    error: Message | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A build of image datasets; counts are images of all of them together."""

    task_id: str
    status: str
    distributed: bool
    mode: str
    reason: str | None
    progress: int
    total: int | None
    done: int
    failed: int
    skipped: int
    created_at: str
    finished_at: str | None
    datasets: list[DatasetBuild]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image in the index."""

    id: int
    name: str
    collection: str
    media_type: str | None
    width: int | None
    height: int | None
    size: int | None
    version: int
    thumbnail_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHit:
    """An image that is like the query."""

    score: float
    image: ImageRecord
    source: str
    folders: list[str]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGroup:
    """Copies of one picture, and the one to keep."""

    keep: ImageRecord
    others: list[ImageRecord]
    exact: bool


def read(kind: type[_ValueT], data: Mapping[str, Any]) -> _ValueT:
    """``data``, which came as JSON, as a ``kind``."""
    hints = _hints(kind)  # type: ignore[arg-type]  # a class can be a key
    return kind(**{name: _value(hint, data[name]) for name, hint in hints.items()})


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _value(next(option for option in get_args(hint) if option is not types.NoneType), value)
    if origin is list:
        return [_value(get_args(hint)[0], item) for item in value]
    return read(hint, value) if dataclasses.is_dataclass(hint) and isinstance(hint, type) else value
