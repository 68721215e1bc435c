"""What watchers missed, read and put into words on few threads, and once for all who ask for the same together.

After a restart of the API, all that watched come back at once, most of them with the same cursor.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

from anyio import CapacityLimiter, to_thread

from gristmill.api.frames import Frame, Group
from gristmill.app import Gristmill
from gristmill.tasks.feed import missed

__all__ = ["Missed", "Page"]

_THREADS = 2
"""Whoever reads and words holds up answers to others."""

_T = TypeVar("_T")
_Question: TypeAlias = tuple[Group, int, int]


@dataclass(frozen=True, slots=True)
class Page:
    """What is told next, if anything, and up to where there is nothing else."""

    cursor: int
    frame: Frame | None


class Missed:
    """Answers for all watchers of one event loop."""

    def __init__(self, app: Gristmill) -> None:
        self._app = app
        self._limiter = CapacityLimiter(_THREADS)
        self._under_way: dict[_Question, asyncio.Task[Page]] = {}

    async def ask(self, question: Callable[[], _T]) -> _T:
        """What ``question`` answers on one of the threads."""
        return await to_thread.run_sync(question, limiter=self._limiter)

    async def page(self, group: Group, *, after: int, until: int | None) -> Page:
        """The page behind ``after``; cf. :func:`gristmill.tasks.feed.missed`."""
        if until is None:
            # It is asked for what there is by now, which a look that has begun already may not see.
            return await self._read(group, after, None)
        key = (group, after, until)
        if key not in self._under_way:
            self._under_way[key] = reading = asyncio.create_task(self._read(group, after, until), name="missed")
            reading.add_done_callback(partial(self._forget, key))
        # Whoever leaves must not take it from the others.
        return await asyncio.shield(self._under_way[key])

    async def _read(self, group: Group, after: int, until: int | None) -> Page:
        return await self.ask(partial(self._worded, group, after, until))

    def _worded(self, group: Group, after: int, until: int | None) -> Page:
        update = missed(self._app.store, group.wanted, after=after, until=until)
        return Page(update.cursor, group.whole(update, self._app.clock.now()) if update else None)

    def _forget(self, key: _Question, reading: asyncio.Task[Page]) -> None:
        del self._under_way[key]
        if not reading.cancelled():
            # Those who asked have it; that they have left is no reason to complain of it.
            reading.exception()
