"""The data of the task lifecycle: plain values without behaviour that touches the outside.

Times are microseconds since the epoch, durations are seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from gristmill.errors import GristmillError, error_from

__all__ = [
    "UNDECODABLE",
    "Attempted",
    "Cancelled",
    "Completed",
    "Effect",
    "Event",
    "Failed",
    "JointEffect",
    "Json",
    "Lost",
    "NewTask",
    "Outcome",
    "Progress",
    "Released",
    "Retried",
    "Task",
    "TaskError",
    "TaskFilter",
    "TaskState",
    "Waiting",
    "Worker",
]

Json: TypeAlias = Mapping[str, Any]

UNDECODABLE = "undecodable"
"""The one field of a stored value that could not be read; it holds what was found instead, as text."""

Effect: TypeAlias = Callable[[Any], Json | None]
"""What a handler wants written in the very transaction that ends its task.

Receives the store's open transaction; what it answers, if anything, is added to the task's result."""


@dataclass(frozen=True, slots=True)
class JointEffect:
    """An :data:`Effect` that costs less along with others of its sort: attempts that end together write together.

    ``write`` takes the transaction and one ``matter`` for each, and answers for each in the same order. If it raises,
    nothing of it has happened, and each is written by itself.
    """

    matter: Any
    write: Callable[[Any, Sequence[Any]], Sequence[Json | None]]
    weight: int = 1
    """About how many task rows could be changed in the time that it takes."""

    def __call__(self, transaction: Any) -> Json | None:
        """Write this one alone."""
        return self.write(transaction, [self.matter])[0]


class TaskState(StrEnum):
    """The five states a task can be in."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether only an explicit retry can leave this state."""
        return self in (TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an attempt is, in the kind's own ``unit`` (pages, chunks, files, images, documents)."""

    stage: str = ""
    unit: str = ""
    done: int = 0
    failed: int = 0
    skipped: int = 0
    total: int | None = None

    @property
    def processed(self) -> int:
        """Units that need no more work, whatever became of them."""
        return self.done + self.failed + self.skipped

    @property
    def percent(self) -> int:
        """0-100, rounded down so that 100 means done."""
        if not self.total:
            return 0
        return min(100, self.processed * 100 // self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """Why a task failed, in a form that can be stored and shown in any language."""

    code: str
    facts: Mapping[str, object] = field(default_factory=dict)
    type: str = "GristmillError"

    @classmethod
    def of(cls, error: GristmillError) -> "TaskError":
        """The stored form of ``error``."""
        return cls(code=error.code, facts=dict(error.facts), type=type(error).__name__)

    def message(self, language: str = "en") -> str:
        """The fact and its remedy."""
        return error_from(self.type, self.code, self.facts).message(language)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task to be accepted."""

    id: str
    kind: str
    queue: str
    payload: Json
    engine: str = "local"
    """Whose workers may claim it."""
    pinned: bool = False
    """Whether it stays with that engine when tasks are moved to another."""
    priority: int = 5
    max_attempts: int = 4
    soft_limit_seconds: float = 1500.0
    hard_limit_seconds: float = 1800.0
    scheduled_at: int | None = None
    parent_id: str | None = None
    collection: str | None = None
    user_id: int | None = None
    idempotency_key: str | None = None
    request_hash: str | None = None
    """Hash of the whole request; tells a repeated request from a different one under the same key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One row of the task table: the truth about one unit of work."""

    id: str
    number: int
    """Small integer that people and the ``index_tasks`` view use."""
    kind: str
    queue: str
    state: TaskState
    priority: int
    payload: Json
    attempt: int
    max_attempts: int
    crash_count: int
    lease: int
    """Grows by one with every claim; a write that presents an older one is refused."""
    soft_limit_seconds: float
    hard_limit_seconds: float
    progress: Progress
    created_at: int
    updated_at: int
    due: bool = True
    """False while a pending task waits for ``scheduled_at``."""
    scheduled_at: int | None = None
    started_at: int | None = None
    """Start of the latest attempt."""
    finished_at: int | None = None
    cancel_requested: bool = False
    worker_id: str | None = None
    slot: int | None = None
    """Which parallel place of the worker holds, or last held, the task."""
    engine: str | None = None
    parent_id: str | None = None
    collection: str | None = None
    user_id: int | None = None
    idempotency_key: str | None = None
    request_hash: str | None = None
    result: Json | None = None
    item_count: int = 0
    """How many result items are stored beside the row."""
    items_expire_at: int | None = None
    checkpoint: Json | None = None
    """What a handler left for itself when it paused for its children."""
    error: TaskError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a task; ``seq`` only grows and serves as a cursor."""

    seq: int
    task_id: str
    at: int
    name: str
    attempt: int
    lease: int
    worker_id: str | None = None
    detail: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks a list or a bulk operation means; an empty field means any."""

    ids: Sequence[str] = ()
    states: Sequence[TaskState] = ()
    kinds: Sequence[str] = ()
    queues: Sequence[str] = ()
    engines: Sequence[str] = ()
    collection: str | None = None
    parent_id: str | None = None
    ancestor_id: str | None = None
    """The task that started them, or started what started them, and so on."""
    created_after: int | None = None
    created_before: int | None = None
    text: str | None = None
    """Substring of the payload or of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A process that runs tasks; ``beat`` grows while it lives."""

    id: str
    name: str
    engine: str
    queues: tuple[str, ...]
    slots: int
    pid: int
    host: str
    beat: int = 0
    started_at: int = 0
    beat_at: int = 0
    version: str = ""
    """Of the program it runs; empty if it did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What every outcome of an attempt may carry."""

    progress: Progress | None = None
    """The last word on progress, written with the outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(Attempted):
    """The handler is done. ``result`` is small and stays with the row; ``items`` may be many and expire."""

    result: Json = field(default_factory=dict)
    items: Sequence[Json] = ()
    effect: Effect | None = None
    spawn: Sequence[NewTask] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Attempted):
    """The handler has started ``spawn`` and wants to run again, with ``checkpoint``, when all of them have ended."""

    spawn: Sequence[NewTask]
    checkpoint: Json = field(default_factory=dict)
    halts: bool = False
    """Whether those that have not begun are cancelled as soon as one has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Attempted):
    """The attempt failed for a cause that may pass; run again after ``delay_seconds``."""

    error: TaskError
    delay_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Attempted):
    """The attempt failed and trying again would not help."""

    error: TaskError
    items: Sequence[Json] = ()
    effect: Effect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Attempted):
    """The attempt stopped because somebody asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Attempted):
    """The process that ran the attempt died; counted, and parked at the limit."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Attempted):
    """The worker gave the task back before it was done, for example at shutdown; no attempt is counted."""

    reason: str


Outcome: TypeAlias = Completed | Waiting | Retried | Failed | Cancelled | Lost | Released
