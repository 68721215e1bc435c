"""Tells watchers what goes on with tasks: one look for all of them, and to each what it asked for.

A thread looks at the database ten times a second while anybody watches. What is the same for several is put into
words once. A watcher that does not keep up is let go with a reason instead of being kept in memory.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from functools import partial

from anyio import CapacityLimiter, move_on_after, to_thread

from gristmill.api.frames import Frame, Group
from gristmill.api.missed import Missed
from gristmill.api.watcher import Watcher
from gristmill.app import Gristmill
from gristmill.db.keys import ValidKeys
from gristmill.errors import GristmillError, InvalidInput, Unauthorized, Unavailable
from gristmill.logs import get_log
from gristmill.tasks.feed import Feed, Update, Wanted

__all__ = ["LAST_WORD_SECONDS", "Hub"]

_log = get_log(__name__)

LAST_WORD_SECONDS = 10.0
"""How long the reason is offered to a watcher that was let go: it may be one that reads slowly, or not at all."""
_TICK_SECONDS = 0.1
_REST_SECONDS = 0.02
"""However long a look took, others get the processor for so long before the next."""
_TROUBLE_SECONDS = 1.0
_READY_SECONDS = 5.0
"""How long the first to watch waits for the database to say where the events end."""
_CLOSE_SECONDS = 1.0
"""How long the server's stop waits for watchers to take the reason."""
_QUIET_SECONDS = 15.0
"""After so long without news, watchers are told where the feed is: connections stay open, and cursors young."""
_AT_ONCE = 10
"""Watchers that are given a frame before others get their turn at the loop."""


class Hub:
    """All watchers of this process."""

    def __init__(self, app: Gristmill) -> None:
        self._app = app
        self._watchers: set[Watcher] = set()
        self._coming = 0
        """How many wait until they can begin."""
        self._looking: asyncio.Task[None] | None = None
        self._has_begun = False
        """Whether it is known where the events end."""
        self._cursor = 0
        """Up to where updates have been handed out."""
        self._stirred = asyncio.Condition()
        """Notified when one of these has changed."""
        self._empty = asyncio.Event()
        self._limiter = CapacityLimiter(1)
        self._missed = Missed(app)
        self._closed = False

    def __len__(self) -> int:
        """How many watch, or are about to."""
        return len(self._watchers) + self._coming

    @asynccontextmanager
    async def watching(
        self, wanted: Wanted, *, language: str, cursor: int | None, key_id: str | None
    ) -> AsyncIterator[Watcher]:
        """A watcher that is ready to run, for the length of the block.

        :class:`Unavailable` (``watchers_full``, ``watchers_not_ready``, ``server_stopping``), :class:`InvalidInput`
        (``cursor_ahead``) for a cursor that this installation has not handed out, and what :meth:`Watcher.prepare` raises.
        """
        most = self._app.settings.api.max_watchers
        if len(self) >= most:
            raise Unavailable("watchers_full", limit=most)
        self._coming += 1
        try:
            await self._reach(cursor)
        finally:
            self._coming -= 1
        # Nobody gets a turn between the two: who comes or watches keeps the look going.
        group = Group(wanted, language)
        watcher = Watcher(self._app, self._missed, group, key_id=key_id, since=self._cursor, cursor=cursor)
        self._watchers.add(watcher)
        try:
            await watcher.prepare()
            yield watcher
        finally:
            self._forget(watcher)

    async def close(self) -> None:
        """Let all go, and wait until they know: the server stops."""
        self._closed = True
        await self._notify()
        for watcher in self._watchers:
            watcher.let_go(Unavailable("server_stopping"))
        if self._watchers:
            self._empty.clear()
            with move_on_after(_CLOSE_SECONDS):
                await self._empty.wait()

    def _forget(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        if not self._watchers:
            self._empty.set()

    async def _reach(self, cursor: int | None) -> None:
        """Wait until all up to ``cursor`` has been handed out: who reads events in other ways may be ahead."""
        if not self._closed and (self._looking is None or self._looking.done()):
            self._has_begun = False
            self._looking = asyncio.create_task(self._look(), name="watchers")
        with move_on_after(_READY_SECONDS):
            await self._handed_out_to(0)
            if cursor is not None and cursor > self._cursor:
                if not await self._missed.ask(partial(self._app.store.events, after=cursor - 1, limit=1)):
                    raise InvalidInput("cursor_ahead", field="cursor", value=cursor, latest=self._cursor)
                await self._handed_out_to(cursor)
            return
        raise Unavailable("watchers_not_ready")

    async def _handed_out_to(self, cursor: int) -> None:
        async with self._stirred:
            await self._stirred.wait_for(lambda: self._closed or (self._has_begun and self._cursor >= cursor))
        if self._closed:
            raise Unavailable("server_stopping")

    async def _notify(self) -> None:
        async with self._stirred:
            self._stirred.notify_all()

    async def _look(self) -> None:
        """Hand out updates until nobody watches any more."""
        loop = asyncio.get_running_loop()
        feed: Feed | None = None
        # To find out where the events end may take longer than anybody waits for it; the next to come will be glad.
        while not self._closed and (len(self) or not self._has_begun):
            began = loop.time()
            try:
                if feed is None:
                    # After trouble, what was read but not handed out is read again.
                    after = self._cursor if self._has_begun else None
                    feed = Feed(self._app.store, self._app.clock, after=after)
                groups = {watcher.group for watcher in self._watchers}
                seen = await to_thread.run_sync(partial(self._seen, feed, groups), limiter=self._limiter)
                if seen is not None:
                    await self._hand_out(*seen)
            except Exception as error:  # noqa: BLE001 - a defect in one look must not end all later ones
                if isinstance(error, GristmillError):
                    _log.warning("watchers.untold", error=str(error))
                else:
                    _log.exception("watchers.look_raised")
                feed = None
                await asyncio.sleep(_TROUBLE_SECONDS)
            await asyncio.sleep(max(_REST_SECONDS, _TICK_SECONDS - (loop.time() - began)))
        self._looking = None

    def _seen(
        self, feed: Feed, groups: Collection[Group]
    ) -> tuple[Update, Mapping[Group, Frame | None], ValidKeys] | None:
        keys = self._app.keys.valid()
        update = feed.look()
        if update is None:
            return None
        now = self._app.clock.now()
        return update, {group: group.part(update, now) for group in groups}, keys

    async def _hand_out(self, update: Update, frames: Mapping[Group, Frame | None], keys: ValidKeys) -> None:
        loop = asyncio.get_running_loop()
        now = self._app.clock.now()
        # Some came while the others' were put into words.
        late = {watcher.group for watcher in self._watchers} - frames.keys()
        frames = {**frames, **{group: group.part(update, now) for group in late}}
        ended = {task_id: task for task_id, task in update.tasks.items() if task.state.is_final}
        quiet = Group(Wanted(), "en").whole(Update(cursor=update.cursor, tasks={}), now)
        # From here to the end it cannot fail: who joins from now on is given what comes behind this.
        self._cursor = update.cursor
        self._has_begun = True
        for number, watcher in enumerate(list(self._watchers), 1):
            frame = frames[watcher.group]
            if not keys.admits(watcher.key_id):
                watcher.let_go(Unauthorized("key_invalid"))
            elif frame is not None:
                watcher.give(frame, ended.get(watcher.group.wanted.task_id or ""))
            elif loop.time() - watcher.told_at > _QUIET_SECONDS:
                watcher.give(quiet)
            if watcher.is_gone:
                # It may take long to take the reason, and does not count meanwhile.
                self._forget(watcher)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._notify()
