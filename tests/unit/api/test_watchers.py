"""The one look for all watchers: begins with the first, ends with the last, and loses nothing when it fails."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gristmill.api.frames import Frame
from gristmill.api.schemas.watching import UpdateFrame
from gristmill.api.watcher import Watcher
from gristmill.api.watchers import Hub
from gristmill.app import Gristmill, open_gristmill
from gristmill.errors import GristmillError, Unavailable
from gristmill.settings import load_settings
from gristmill.tasks.feed import Update, Wanted
from tests.support.flaky import FlakyStore

SECONDS = 20.0


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Gristmill]:
    settings = load_settings(data=tmp_path, overrides={"api": {"max_watchers": 3}}, environ={})
    app = open_gristmill(settings)
    yield app
    app.close()


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(SECONDS):
            await story()

    asyncio.run(bounded())


async def watcher_of(hub: Hub, stack: AsyncExitStack, cursor: int | None = None) -> Watcher:
    watching = hub.watching(Wanted(), language="en", cursor=cursor, key_id=None)
    return await stack.enter_async_context(watching)


async def next_update(watcher: Watcher) -> Frame:
    """The first update that it is told."""
    found: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()

    async def take(frame: Frame) -> None:
        if frame.type == "update" and not found.done():
            found.set_result(frame)

    running = asyncio.create_task(watcher.run(take))
    frame = await found
    running.cancel()
    return frame


async def is_told(app: Gristmill) -> None:
    """Somebody who watches is told of a new task."""
    async with AsyncExitStack() as stack:
        watcher = await watcher_of(Hub(app), stack)
        task = app.tasks.submit("ping", {})
        assert task.id in (await next_update(watcher)).text


@pytest.mark.parametrize("is_ahead", [False, True])
def test_watcher_that_comes_as_the_look_ends_is_told(app: Gristmill, *, is_ahead: bool) -> None:
    async def story() -> None:
        hub = Hub(app)
        for _ in range(3):
            async with AsyncExitStack() as stack:
                await watcher_of(hub, stack)
            seen = app.tasks.submit("ping", {})
            # The next turn of the look is due by now, with nobody there, as the next to watch comes.
            time.sleep(0.15)  # noqa: ASYNC251 - nobody shall get a turn
            async with AsyncExitStack() as stack:
                watcher = await watcher_of(hub, stack, app.store.events(seen.id)[-1].seq if is_ahead else None)
                task = app.tasks.submit("ping", {})
                assert task.id in (await next_update(watcher)).text

    play(story)


def test_no_more_watch_than_may_however_many_come_at_once(app: Gristmill) -> None:
    async def story() -> None:
        hub = Hub(app)
        async with AsyncExitStack() as stack:
            come = await asyncio.gather(*(watcher_of(hub, stack) for _ in range(8)), return_exceptions=True)

            assert sum(isinstance(one, Watcher) for one in come) == 3 == len(hub)
            assert {one.code for one in come if isinstance(one, GristmillError)} == {"watchers_full"}
        assert len(hub) == 0

    play(story)


def test_watcher_that_comes_while_the_server_stops_is_refused(app: Gristmill) -> None:
    async def story() -> None:
        hub = Hub(app)
        async with AsyncExitStack() as stack:
            # It waits for the first look when the server stops.
            early = asyncio.create_task(watcher_of(hub, stack))
            await asyncio.sleep(0)
            await hub.close()
            for coming in (early, asyncio.create_task(watcher_of(hub, stack))):
                with pytest.raises(Unavailable) as refused:
                    await coming
                assert refused.value.code == "server_stopping"
        assert len(hub) == 0

    play(story)


def test_what_was_read_when_the_database_failed_is_told_by_the_next_look(
    app: Gristmill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.api.watchers._TROUBLE_SECONDS", 0.01)
    # Asked for the tasks of events, once there are some.
    flaky = FlakyStore(app.store, "get_many", Unavailable("database_busy"), times=1)
    monkeypatch.setitem(app.__dict__, "store", flaky)

    play(lambda: is_told(app))

    assert flaky.left == 0


def test_what_was_read_when_a_look_met_a_defect_is_told_by_the_next(
    app: Gristmill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.api.watchers._TROUBLE_SECONDS", 0.01)
    failures: list[Update] = []
    real = UpdateFrame.of

    def fails_once(update: Update, **options: Any) -> UpdateFrame:
        if update and not failures:
            failures.append(update)
            raise RuntimeError("a defect")
        return real(update, **options)

    monkeypatch.setattr(UpdateFrame, "of", fails_once)

    play(lambda: is_told(app))

    assert len(failures) == 1


def test_watcher_whose_missed_events_cannot_be_read_is_let_go_with_its_cursor(
    app: Gristmill, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[Frame] = []

    async def take(frame: Frame) -> None:
        frames.append(frame)

    async def story() -> None:
        hub = Hub(app)
        for _ in range(2):
            app.tasks.submit("ping", {})
        async with AsyncExitStack() as stack:
            watcher = await watcher_of(hub, stack, 1)
            monkeypatch.setitem(
                app.__dict__, "store", FlakyStore(app.store, "events", Unavailable("database_busy"), times=1)
            )
            await watcher.run(take)
            bye = watcher.bye()
        assert bye is not None
        assert ([frame.type for frame in frames], bye.cursor) == (["hello"], 1)
        assert '"code":"watchers_not_ready"' in bye.text

    play(story)


def test_what_many_missed_is_read_once_for_all(app: Gristmill, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = app.store.events

    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(options["after"])
        return real(*arguments, **options)

    async def story() -> None:
        hub = Hub(app)
        for _ in range(5):
            app.tasks.submit("ping", {})
        monkeypatch.setattr(app.store, "events", counted)
        async with AsyncExitStack() as stack:
            watchers = [await watcher_of(hub, stack, cursor) for cursor in (2, 2, 3)]
            told = await asyncio.gather(*(next_update(watcher) for watcher in watchers))
        assert told[0] is told[1]
        assert sorted(asked) == [2, 3]

    play(story)
