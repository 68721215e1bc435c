"""One that follows tasks: what waits to be told to it, in order, and how it is let go."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from anyio import CancelScope

from gristmill.api.frames import Frame, Group
from gristmill.api.missed import Missed, Page
from gristmill.app import Gristmill
from gristmill.errors import GristmillError, Unavailable
from gristmill.logs import get_log
from gristmill.tasks.model import Task

__all__ = ["Send", "Watcher"]

_log = get_log(__name__)

_MOST_FRAMES = 256
_MOST_BYTES = 4 * 1024 * 1024

Send: TypeAlias = Callable[[Frame], Awaitable[None]]
"""Passes a frame on to the connection; if it is cancelled, nothing of the frame has been."""


class Watcher:
    """Somebody who follows tasks; belongs to the event loop."""

    def __init__(
        self,
        app: Gristmill,
        missed: Missed,
        group: Group,
        *,
        key_id: str | None,
        since: int,
        cursor: int | None,
    ) -> None:
        self._app = app
        self._missed = missed
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
            self._task = await self._missed.ask(partial(self._app.store.get, self.group.wanted.task_id))

    async def has_told_all(self) -> bool:
        """Whether its task has ended and nothing happened to it behind the cursor."""
        return self._task is not None and self._task.state.is_final and (await self._page(None)).frame is None

    async def run(self, send: Send) -> None:
        """Send all it is to be told until its task has ended, or it is let go, or the caller stops it."""
        with self._scope:
            try:
                await self._follow(send)
            except GristmillError as error:
                _log.warning("watcher.untold", error=str(error))
                self.let_go(Unavailable("watchers_not_ready"))

    @property
    def is_gone(self) -> bool:
        """Whether it was let go."""
        return self._gone is not None

    def bye(self) -> Frame | None:
        """What is said to one that was let go."""
        return None if self._gone is None else self.group.bye(self._cursor, self._gone)

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

    async def _follow(self, send: Send) -> None:
        task = self._task
        await self._tell(send, self.group.hello(self._cursor, task, self._app.clock.now()))
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
            page = await self._page(until)
            if page.frame is not None:
                await self._tell(send, page.frame)
            elif until is None:
                return
            self._cursor = page.cursor

    async def _page(self, until: int | None) -> Page:
        return await self._missed.page(self.group, after=self._cursor, until=until)

    async def _end(self, send: Send, task: Task) -> None:
        # Its row may be ahead of the events that could be told; all about it can be read by now.
        await self._catch_up(send, None)
        await self._tell(send, self.group.end(self._cursor, task, self._app.clock.now()))
