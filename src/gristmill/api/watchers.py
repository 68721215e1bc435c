"""Tells watchers what goes on with tasks: one look for all of them, and to each what it asked for.

A thread looks at the database ten times a second while anybody watches. What is the same for several is put into
words once. A watcher that does not keep up is let go with a reason instead of being kept in memory.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from anyio import CancelScope, CapacityLimiter, to_thread

from gristmill.api.schemas.tasks import TaskView
from gristmill.api.schemas.watching import ByeFrame, EndFrame, HelloFrame, UpdateFrame
from gristmill.app import Gristmill
from gristmill.db.keys import ValidKeys
from gristmill.errors import GristmillError, InvalidInput, Unauthorized, Unavailable
from gristmill.logs import get_log
from gristmill.tasks.feed import Feed, Update, Wanted, missed
from gristmill.tasks.model import Task

__all__ = ["Frame", "Hub", "Watcher"]

_log = get_log(__name__)

_TICK_SECONDS = 0.1
_REST_SECONDS = 0.02
"""However long a look took, others get the processor for so long before the next."""
_TROUBLE_SECONDS = 1.0
_READY_SECONDS = 5.0
"""How long the first to watch waits for the database to say where the events end."""
_QUIET_SECONDS = 15.0
"""After so long without news, watchers are told where the feed is: connections stay open, and cursors young."""
_MOST_FRAMES = 256
_MOST_BYTES = 4 * 1024 * 1024
_AT_ONCE = 50
"""Watchers that are given a frame before others get their turn at the loop."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message to a watcher."""

    type: str
    cursor: int
    """Where to resume once it has arrived."""
    text: str


@dataclass(frozen=True, slots=True)
class _Group:
    """Watchers that are told the same in the same words."""

    wanted: Wanted
    language: str


class Watcher:
    """Somebody who follows tasks; belongs to the event loop."""

    def __init__(self, app: Gristmill, group: _Group, *, key_id: str | None, since: int) -> None:
        self._app = app
        self.group = group
        self.key_id = key_id
        self._since = since
        """Up to where updates had been handed out when it joined: it is given all behind that."""
        self._cursor: int | None = None
        self._task: Task | None = None
        self.told_at = asyncio.get_running_loop().time()
        """When it was given something."""
        self._given: deque[tuple[Frame, Task | None]] = deque()
        self._size = 0
        self._stirred = asyncio.Event()
        self._scope = CancelScope()
        self._gone: GristmillError | None = None

    async def prepare(self, cursor: int | None) -> None:
        """Find out where to begin, before anything is sent.

        :class:`NotFound` if it follows a task that there is none of, :class:`InvalidInput` (``cursor_ahead``) for a
        cursor that this installation has not handed out yet.
        """
        if self.group.wanted.task_id is not None:
            self._task = await to_thread.run_sync(self._app.store.get, self.group.wanted.task_id)
        if cursor is not None and cursor > self._since and not self._is_over:
            raise InvalidInput("cursor_ahead", field="cursor", value=cursor, latest=self._since)
        self._cursor = cursor

    async def has_told_all(self) -> bool:
        """Whether its task has ended and nothing happened to it behind the cursor."""
        return self._is_over and self._cursor is not None and not await self._missed(self._cursor, None)

    async def run(self, send: Callable[[Frame], Awaitable[None]]) -> None:
        """Send all it is to be told until its task has ended, or it is let go, or the caller stops it."""
        with self._scope:
            async with aclosing(self._frames()) as frames:
                async for frame in frames:
                    await send(frame)
                    self._cursor = frame.cursor

    def bye(self) -> Frame | None:
        """What is said to one that was let go."""
        if self._gone is None:
            return None
        cursor = self._since if self._cursor is None else self._cursor
        message = self._gone.message(self.group.language)
        frame = ByeFrame(cursor=str(cursor), code=self._gone.code, message=message)
        return Frame("bye", cursor, frame.model_dump_json())

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

    async def _frames(self) -> AsyncGenerator[Frame, None]:
        position = self._since if self._cursor is None else self._cursor
        task = self._task
        view = None if task is None else self._view(task)
        yield Frame("hello", position, HelloFrame(cursor=str(position), task=view).model_dump_json())
        # Nothing more is to come where a task has ended, and all about it can be read by now.
        until = None if self._is_over else self._since
        while self._cursor is not None and (until is None or position < until):
            update = await self._missed(position, until)
            position = update.cursor
            if update:
                yield self._update(update)
            elif until is None:
                break
        if task is not None and self._is_over:
            yield self._end(position, task)
            return
        while True:
            while self._given:
                frame, ended = self._given.popleft()
                self._size -= len(frame.text)
                yield frame
                if ended is not None:
                    yield self._end(frame.cursor, ended)
                    return
            self._stirred.clear()
            await self._stirred.wait()

    async def _missed(self, position: int, until: int | None) -> Update:
        return await to_thread.run_sync(
            partial(missed, self._app.store, self.group.wanted, after=position, until=until)
        )

    def _update(self, update: Update) -> Frame:
        return _worded(update, self.group.language, self._app.clock.now())

    def _view(self, task: Task) -> TaskView:
        return TaskView.of(task, language=self.group.language, now=self._app.clock.now())

    def _end(self, cursor: int, task: Task) -> Frame:
        return Frame("end", cursor, EndFrame(cursor=str(cursor), task=self._view(task)).model_dump_json())


class Hub:
    """All watchers of this process."""

    def __init__(self, app: Gristmill) -> None:
        self._app = app
        self._watchers: set[Watcher] = set()
        self._looking: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._cursor = 0
        self._limiter = CapacityLimiter(1)
        self._closed = False

    def __len__(self) -> int:
        """How many watch."""
        return len(self._watchers)

    @asynccontextmanager
    async def watching(
        self, wanted: Wanted, *, language: str, cursor: int | None, key_id: str | None
    ) -> AsyncIterator[Watcher]:
        """A watcher that is ready to run, for the length of the block.

        :class:`Unavailable` (``watchers_full``, ``watchers_not_ready``), and what :meth:`Watcher.prepare` raises.
        """
        most = self._app.settings.api.max_watchers
        if self._closed or len(self._watchers) >= most:
            raise Unavailable("watchers_full", limit=most)
        if self._looking is None or self._looking.done():
            self._begun = asyncio.Event()
            self._looking = asyncio.create_task(self._look(), name="watchers")
        try:
            await asyncio.wait_for(self._begun.wait(), _READY_SECONDS)
        except TimeoutError:
            raise Unavailable("watchers_not_ready") from None
        watcher = Watcher(self._app, _Group(wanted, language), key_id=key_id, since=self._cursor)
        self._watchers.add(watcher)
        try:
            await watcher.prepare(cursor)
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """Let all go: the server stops."""
        self._closed = True
        for watcher in self._watchers:
            watcher.let_go(Unavailable("server_stopping"))

    async def _look(self) -> None:
        """Hand out updates until nobody watches any more."""
        loop = asyncio.get_running_loop()
        feed = Feed(self._app.store, self._app.clock)
        while not self._begun.is_set() or self._watchers:
            began = loop.time()
            groups = {watcher.group for watcher in self._watchers}
            try:
                seen = await to_thread.run_sync(partial(self._seen, feed, groups), limiter=self._limiter)
            except GristmillError as error:
                _log.warning("watchers.untold", error=str(error))
                await asyncio.sleep(_TROUBLE_SECONDS)
                continue
            except Exception:  # noqa: BLE001 - a defect in one look must not end all later ones
                _log.exception("watchers.look_raised")
                await asyncio.sleep(_TROUBLE_SECONDS)
                continue
            if seen is not None:
                await self._hand_out(*seen)
                self._begun.set()
            await asyncio.sleep(max(_REST_SECONDS, _TICK_SECONDS - (loop.time() - began)))
        self._looking = None

    def _seen(
        self, feed: Feed, groups: Collection[_Group]
    ) -> tuple[Update, Mapping[_Group, Frame | None], ValidKeys] | None:
        update = feed.look()
        if update is None:
            return None
        now = self._app.clock.now()
        return update, {group: _part(update, group, now) for group in groups}, self._app.keys.valid()

    async def _hand_out(self, update: Update, frames: Mapping[_Group, Frame | None], keys: ValidKeys) -> None:
        loop = asyncio.get_running_loop()
        ended = {task_id: task for task_id, task in update.tasks.items() if task.state.is_final}
        # Together with the cursor: who joins from here on is given what comes behind it.
        self._cursor = update.cursor
        frames = dict(frames)
        quiet = _worded(Update(cursor=update.cursor, tasks={}), "en", 0)
        for number, watcher in enumerate(list(self._watchers), 1):
            group = watcher.group
            if group not in frames:
                # It came while the others' were put into words.
                frames[group] = _part(update, group, self._app.clock.now())
            frame = frames[group]
            if not keys.admits(watcher.key_id):
                watcher.let_go(Unauthorized("key_invalid"))
            elif frame is not None:
                watcher.give(frame, ended.get(group.wanted.task_id or ""))
            elif loop.time() - watcher.told_at > _QUIET_SECONDS:
                watcher.give(quiet)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)


def _part(update: Update, group: _Group, now: int) -> Frame | None:
    """What ``group`` is told of ``update``, if anything."""
    part = update.of(group.wanted)
    return _worded(part, group.language, now) if part else None


def _worded(update: Update, language: str, now: int) -> Frame:
    return Frame("update", update.cursor, UpdateFrame.of(update, language=language, now=now).model_dump_json())
