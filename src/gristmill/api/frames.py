"""Messages to watchers, put into words once for all who are told the same."""

from dataclasses import dataclass

from gristmill.api.schemas.tasks import TaskView
from gristmill.api.schemas.watching import ByeFrame, EndFrame, HelloFrame, UpdateFrame
from gristmill.errors import GristmillError
from gristmill.tasks.feed import Update, Wanted
from gristmill.tasks.model import Task

__all__ = ["Frame", "Group"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One message to a watcher."""

    type: str
    cursor: int
    """Where to resume once it has arrived."""
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Watchers that are told the same in the same words."""

    wanted: Wanted
    language: str

    def hello(self, cursor: int, task: Task | None, now: int) -> Frame:
        """The first message, to one that follows ``task`` or none in particular."""
        view = None if task is None else self._view(task, now)
        return Frame("hello", cursor, HelloFrame(cursor=str(cursor), task=view).model_dump_json())

    def part(self, update: Update, now: int) -> Frame | None:
        """What they are told of ``update``, if anything."""
        part = update.of(self.wanted)
        return self.whole(part, now) if part else None

    def whole(self, update: Update, now: int) -> Frame:
        """All of ``update``, which is about what they want already."""
        said = UpdateFrame.of(update, language=self.language, now=now)
        return Frame("update", update.cursor, said.model_dump_json())

    def end(self, cursor: int, task: Task, now: int) -> Frame:
        """The last message about ``task``."""
        return Frame("end", cursor, EndFrame(cursor=str(cursor), task=self._view(task, now)).model_dump_json())

    def bye(self, cursor: int, why: GristmillError) -> Frame:
        """The last message to one that is let go."""
        said = ByeFrame(cursor=str(cursor), code=why.code, message=why.message(self.language))
        return Frame("bye", cursor, said.model_dump_json())

    def _view(self, task: Task, now: int) -> TaskView:
        return TaskView.of(task, language=self.language, now=now)
