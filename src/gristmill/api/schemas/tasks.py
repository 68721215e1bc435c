"""Tasks as clients see and name them."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from gristmill.api.schemas.fields import Input, Moment, Output, Priority, as_list, micros
from gristmill.api.schemas.told import ErrorView, told
from gristmill.clock import to_rfc3339
from gristmill.engines.celery_states import percent
from gristmill.tasks.model import Event, Task, TaskFilter, TaskState
from gristmill.tasks.secrets import masked
from gristmill.tasks.service import eta_seconds

__all__ = [
    "ChangedTasks",
    "EventList",
    "EventView",
    "NewTaskBody",
    "PriorityBody",
    "ProgressView",
    "ResultPage",
    "TaskCounts",
    "TaskIdText",
    "TaskNames",
    "TaskPage",
    "TaskPageQuery",
    "TaskQuery",
    "TaskSelection",
    "TaskSelectionPriority",
    "TaskView",
]

TaskNames = Annotated[list[Annotated[str, Field(max_length=100)]], BeforeValidator(as_list), Field(max_length=50)]
"""Names of which any may be meant, separated by commas or repeated."""
_States = Annotated[list[TaskState], BeforeValidator(as_list), Field(max_length=5)]
TaskIdText = Annotated[str, Field(max_length=100)]
"""The id of a task, wherever it stands."""


class TaskQuery(Input):
    """Which tasks; all fields together, and any of the values of each."""

    state: _States = Field([], description="States, separated by commas or repeated.", examples=[["failed"]])
    kind: TaskNames = Field([], description="Kinds.", examples=[["batch_index"]])
    queue: TaskNames = Field([], description="Queues.", examples=[["documents"]])
    engine: TaskNames = Field([], description="Engines that were told.", examples=[["local"]])
    collection: str | None = Field(None, max_length=100, description="Collection the task is about.")
    parent_id: TaskIdText | None = Field(None, description="Task that started it.")
    created_after: Moment | None = Field(None, description="RFC 3339, exclusive.", examples=["2026-05-04T12:00:00Z"])
    created_before: Moment | None = Field(None, description="RFC 3339, exclusive.")
    text: str | None = Field(None, max_length=200, description="Part of the arguments or of the error.")

    def to_filter(self) -> TaskFilter:
        """The same for the store."""
        return TaskFilter(
            states=self.state,
            kinds=self.kind,
            queues=self.queue,
            engines=self.engine,
            collection=self.collection,
            parent_id=self.parent_id,
            created_after=micros(self.created_after),
            created_before=micros(self.created_before),
            text=self.text,
        )


class TaskPageQuery(TaskQuery):
    """Which page of which tasks."""

    limit: int = Field(50, ge=1, le=500, description="Tasks per page.")
    cursor: str | None = Field(None, max_length=40, description="`next_cursor` of the page before.")


class TaskSelection(TaskQuery):
    """Which tasks a change is about."""

    ids: Annotated[list[TaskIdText], Field(max_length=10_000)] = Field([], description="Task ids.")
    all: bool = Field(False, description="Must be true if nothing else is given: then it means every task.")

    def to_filter(self) -> TaskFilter:
        """The same for the store."""
        where = super().to_filter()
        return TaskFilter(**{name: getattr(where, name) for name in where.__dataclass_fields__} | {"ids": self.ids})


class TaskSelectionPriority(TaskSelection):
    """Which tasks get which priority."""

    priority: Priority


class PriorityBody(Input):
    """A new priority."""

    priority: Priority


class NewTaskBody(Input):
    """A task to be submitted."""

    kind: str = Field(max_length=100, description="What to do.", examples=["index_document"])
    payload: dict[str, Any] = Field(default_factory=dict, description="Its arguments.", examples=[{"doc_id": 101}])
    priority: Priority = 5
    delay_seconds: float = Field(0.0, ge=0, le=366 * 24 * 3600, description="Not before this much time has passed.")
    collection: str | None = Field(None, max_length=100, description="Collection to file the task under.")
    user_id: int | None = Field(None, description="Your own number of whoever asked for it.")


class ProgressView(Output):
    """How far the latest attempt is, in the units of its kind."""

    stage: str = Field(examples=["embed"])
    unit: str = Field(examples=["chunks"])
    done: int
    failed: int
    skipped: int
    total: int | None = Field(description="Null while it is not known.")


class TaskView(Output):
    """One task."""

    id: str
    number: int = Field(description="The same as `id` of the view `index_tasks`.")
    kind: str
    queue: str
    engine: str | None
    state: TaskState
    priority: int
    payload: dict[str, Any]
    progress: int = Field(description="0 to 100.")
    progress_detail: ProgressView
    eta_seconds: float | None = Field(description="Null while it is not known.")
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
    item_count: int = Field(description="Result items; read them at `/api/tasks/{id}/result`.")
    error: ErrorView | None

    @classmethod
    def of(cls, task: Task, *, language: str, now: int) -> "TaskView":
        """``task`` for a client."""
        progress = task.progress
        eta = eta_seconds(task, now)
        return cls(
            id=task.id,
            number=task.number,
            kind=task.kind,
            queue=task.queue,
            engine=task.engine,
            state=task.state,
            priority=task.priority,
            # The root is where this machine keeps its files, which is no business of clients.
            payload={name: value for name, value in masked(task.payload).items() if name != "root"},
            progress=percent(task),
            progress_detail=ProgressView(
                stage=progress.stage,
                unit=progress.unit,
                done=progress.done,
                failed=progress.failed,
                skipped=progress.skipped,
                total=progress.total,
            ),
            eta_seconds=None if eta is None else round(eta, 1),
            attempt=task.attempt,
            max_attempts=task.max_attempts,
            crash_count=task.crash_count,
            lease=task.lease,
            cancel_requested=task.cancel_requested,
            created_at=to_rfc3339(task.created_at) or "",
            updated_at=to_rfc3339(task.updated_at) or "",
            scheduled_at=to_rfc3339(task.scheduled_at),
            started_at=to_rfc3339(task.started_at),
            finished_at=to_rfc3339(task.finished_at),
            worker_id=task.worker_id,
            parent_id=task.parent_id,
            collection=task.collection,
            user_id=task.user_id,
            result=None if task.result is None else told(task.result, language),
            item_count=task.item_count,
            error=None if task.error is None else ErrorView.of(asdict(task.error), language),
        )


class TaskPage(Output):
    """A page of tasks, newest first."""

    tasks: list[TaskView]
    next_cursor: str | None = Field(description="Null on the last page.")


class TaskCounts(Output):
    """How many tasks are in each state."""

    counts: dict[TaskState, int]
    total: int


class ChangedTasks(Output):
    """How many tasks a change was about."""

    count: int


class EventView(Output):
    """Something that happened to a task."""

    seq: int
    task_id: str
    at: str
    name: str = Field(examples=["claimed"])
    attempt: int
    lease: int
    worker_id: str | None
    detail: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> "EventView":
        """``event`` for a client."""
        return cls(
            seq=event.seq,
            task_id=event.task_id,
            at=to_rfc3339(event.at) or "",
            name=event.name,
            attempt=event.attempt,
            lease=event.lease,
            worker_id=event.worker_id,
            detail=dict(event.detail),
        )


class EventList(Output):
    """What happened to a task, oldest first."""

    events: list[EventView]
    next_after: int | None = Field(description="Pass it as `after` for more; null if that was all.")


class ResultPage(Output):
    """A task's result and a page of its items."""

    state: TaskState
    result: dict[str, Any] | None
    items: list[dict[str, Any]]
    item_count: int
    next_offset: int | None = Field(description="Null on the last page.")
    expired: bool = Field(description="Whether the items were kept for their time and are gone.")
