"""One that follows tasks: what waits to be told to it, in order, and how it is let go.

Belongs to the event loop of the server; asks the database on threads.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from anyio import CancelScope, CapacityLimiter, to_thread

from gristmill.api.schemas.tasks import TaskView
from gristmill.api.schemas.watching import ByeFrame, EndFrame, HelloFrame, UpdateFrame
from gristmill.app import Gristmill
from gristmill.errors import GristmillError, Unavailable
from gristmill.tasks.feed import Update, Wanted, missed
from gristmill.tasks.model import Task

__all__ = ["Frame", "Group", "Watcher", "worded"]

_MOST_FRAMES = 256
_MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """One message to a watcher."""

    type: str
    cursor: int
    """Where to resume once it has arrived."""
    text: str


Send: TypeAlias = Callable[[Frame], Awaitable[None]]
"""Passes a frame on to the connection; if it is cancelled, nothing of the frame has been."""


@dataclass(frozen=True, slots=True)
class Group:
    """Watchers that are told the same in the same words."""

    wanted: Wanted
    language: str

    def part(self, update: Update, now: int) -> Frame | None:
        """What they are told of ``update``, if anything."""
        part = update.of(self.wanted)
        return worded(part, self.language, now) if part else None


def worded(update: Update, language: str, now: int) -> Frame:
    """``update`` as a message."""
    return Frame("update", update.cursor, UpdateFrame.of(update, language=language, now=now).model_dump_json())


class Watcher:
    """Somebody who follows tasks."""

    def __init__(
        self,
        app: Gristmill,
        group: Group,
        *,
        key_id: str | None,
        since: int,
        cursor: int | None = None,
        limiter: CapacityLimiter,
    ) -> None:
        self._app = app
        self._limiter = limiter
        self.group = group
        self.key_id = key_id
        self._since = since
        """Up to where updates had been handed out when it joined: it is given all behind that."""
        self._cursor = since if cursor is None else cursor
        """Up to where it was told; not beyond what has been handed out."""
        self._task: Task | None = None
        self.told_at = asyncio.get_running_loop().time()
        """When it was given something."""
        self._given: deque[tuple[Frame, Task | None]] = deque()
        self._size = 0
        self._stirred = asyncio.Event()
        self._scope = CancelScope()
        self._gone: GristmillError | None = None

    async def prepare(self) -> None:
        """Look at the task that it follows, before anything is sent; :class:`NotFound` if there is none."""
        if self.group.wanted.task_id is not None:
            get = partial(self._app.store.get, self.group.wanted.task_id)
            self._task = await to_thread.run_sync(get, limiter=self._limiter)

    async def has_told_all(self) -> bool:
        """Whether its task has ended and nothing happened to it behind the cursor."""
        return self._is_over and not await self._missed(None)

    async def run(self, send: Send) -> None:
        """Send all it is to be told until its task has ended, or it is let go, or the caller stops it."""
        with self._scope:
            await self._follow(send)

    @property
    def is_gone(self) -> bool:
        """Whether it was let go."""
        return self._gone is not None

    def bye(self) -> Frame | None:
        """What is said to one that was let go."""
        if self._gone is None:
            return None
        message = self._gone.message(self.group.language)
        frame = ByeFrame(cursor=str(self._cursor), code=self._gone.code, message=message)
        return Frame("bye", self._cursor, frame.model_dump_json())

    def give(self, frame: Frame, ended: Task | None = None) -> None:
        """Have it told, or let it go if too much is waiting for it already."""
        if len(self._given) >= _MOST_FRAMES or self._size > _MOST_BYTES:
            self.let_go(Unavailable("watcher_too_slow"))
        else:
            self.told_at = asyncio.get_running_loop().time()
            self._given.append((frame, ended))
            self._size += len(frame.text)
            self._stirred.set()

    def let_go(self, why: GristmillError) -> None:
        """End it, even where it waits for its connection to take something."""
        if self._gone is None:
            self._gone = why
            self._given.clear()
            self._scope.cancel()

    @property
    def _is_over(self) -> bool:
        return self._task is not None and self._task.state.is_final

    async def _follow(self, send: Send) -> None:
        task = self._task
        hello = HelloFrame(cursor=str(self._cursor), task=None if task is None else self._view(task))
        await self._tell(send, Frame("hello", self._cursor, hello.model_dump_json()))
        if task is not None and task.state.is_final:
            await self._end(send, task)
            return
        await self._catch_up(send, self._since)
        while True:
            while self._given:
                frame, ended = self._given.popleft()
                self._size -= len(frame.text)
                await self._tell(send, frame)
                if ended is not None:
                    await self._end(send, ended)
                    return
            self._stirred.clear()
            await self._stirred.wait()

    async def _tell(self, send: Send, frame: Frame) -> None:
        await send(frame)
        self._cursor = frame.cursor

    async def _catch_up(self, send: Send, until: int | None) -> None:
        """Tell what happened behind the cursor, up to ``until`` or to the end of its task."""
        while until is None or self._cursor < until:
            update = await self._missed(until)
            if update:
                await self._tell(send, worded(update, self.group.language, self._app.clock.now()))
            elif until is None:
                return
            self._cursor = update.cursor

    async def _missed(self, until: int | None) -> Update:
        read = partial(missed, self._app.store, self.group.wanted, after=self._cursor, until=until)
        return await to_thread.run_sync(read, limiter=self._limiter)

    async def _end(self, send: Send, task: Task) -> None:
        # Its row may be ahead of the events that could be told; all about it can be read by now.
        await self._catch_up(send, None)
        end = EndFrame(cursor=str(self._cursor), task=self._view(task))
        await self._tell(send, Frame("end", self._cursor, end.model_dump_json()))

    def _view(self, task: Task) -> TaskView:
        return TaskView.of(task, language=self.group.language, now=self._app.clock.now())
