"""What watchers ask for, and the messages they are sent."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from gristmill.api.schemas.fields import Input, Output
from gristmill.api.schemas.tasks import EventView, ProgressView, TaskIdText, TaskNames, TaskView
from gristmill.tasks.feed import Update, Wanted
from gristmill.tasks.model import Task

__all__ = [
    "FRAMES",
    "ByeFrame",
    "EndFrame",
    "HelloFrame",
    "SocketQuery",
    "TicketView",
    "UpdateFrame",
    "WatchQuery",
]


class SocketQuery(Input):
    """From where on to follow."""

    cursor: str | None = Field(None, max_length=40, description="That of the last message; without it, from now on.")
    ticket: str | None = Field(None, max_length=100, description="What `POST /api/tickets` gave, in place of a key.")


class WatchQuery(SocketQuery):
    """Which tasks to follow; all fields together, and any of the values of each."""

    kind: TaskNames = Field([], description="Kinds.", examples=[["batch_index"]])
    queue: TaskNames = Field([], description="Queues.", examples=[["documents"]])
    engine: TaskNames = Field([], description="Engines.", examples=[["local"]])
    collection: str | None = Field(None, max_length=100, description="Collection the tasks are about.")
    parent_id: TaskIdText | None = Field(None, description="Task that started them.")

    def to_wanted(self) -> Wanted:
        """The same for the feed."""
        return Wanted(
            kinds=tuple(self.kind),
            queues=tuple(self.queue),
            engines=tuple(self.engine),
            collection=self.collection,
            parent_id=self.parent_id,
        )


class TicketView(Output):
    """What opens one connection in place of a key."""

    ticket: str = Field(description="Pass it as `?ticket=`; it opens one connection.")
    expires_in_seconds: int


_Cursor = Annotated[str, Field(description="Where to resume once this has arrived.")]


class HelloFrame(Output):
    """The first message."""

    type: Literal["hello"] = "hello"
    cursor: _Cursor
    task: TaskView | None = Field(description="As it is now, where one task is followed.")


class RunningView(Output):
    """How far a task is, of which nothing else changed."""

    id: str
    progress: int = Field(description="0 to 100.")
    progress_detail: ProgressView
    eta_seconds: float | None

    @classmethod
    def of(cls, task: Task, *, language: str, now: int) -> "RunningView":
        """``task`` for a client."""
        view = TaskView.of(task, language=language, now=now)
        return cls(
            id=view.id, progress=view.progress, progress_detail=view.progress_detail, eta_seconds=view.eta_seconds
        )


class UpdateFrame(Output):
    """What happened."""

    type: Literal["update"] = "update"
    cursor: _Cursor
    events: list[EventView] = Field(description="Oldest first.")
    tasks: list[TaskView] = Field(description="The tasks of the events, as they are now.")
    running: list[RunningView] = Field(description="Tasks without an event that are further now.")

    @classmethod
    def of(cls, update: Update, *, language: str, now: int) -> "UpdateFrame":
        """``update`` for a client."""
        return cls(
            cursor=str(update.cursor),
            events=[EventView.of(event) for event in update.events],
            tasks=[TaskView.of(task, language=language, now=now) for task in update.tasks.values()],
            running=[RunningView.of(task, language=language, now=now) for task in update.running],
        )


class EndFrame(Output):
    """The last message about a task that has ended."""

    type: Literal["end"] = "end"
    cursor: _Cursor
    task: TaskView


class ByeFrame(Output):
    """Why the connection is closed from this side; whoever comes back with the cursor misses nothing."""

    type: Literal["bye"] = "bye"
    cursor: _Cursor
    code: str
    message: str


FRAMES: Sequence[type[Output]] = (HelloFrame, UpdateFrame, EndFrame, ByeFrame)
"""All of them."""
