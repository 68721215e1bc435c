"""Watchers that are too many, too slow, gone, or in the way of a server that stops."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from gristmill.api.frames import Frame
from gristmill.db.tasks.moves import add_tasks
from gristmill.tasks.model import TaskFilter
from tests.support.postgres import fresh_database
from tests.support.service import Service, serving
from tests.support.tasks import new_task
from tests.support.waiting import eventually
from tests.support.watching import Watching, refusal, seqs_of, watching

LARGE = "grist " * 1000
"""A payload, which is in every message about its task."""
BATCH = 200
MOST_BYTES = 4 * 1024 * 1024 + 2 * 1000 * len(LARGE)
"""What may wait for one watcher, and what two looks may add to it, each of a thousand events."""


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Service]:
    """Lets two watch."""
    with serving(tmp_path / "data", {"api": {"max_watchers": 2}}) as service:
        yield service


def flood(service: Service) -> None:
    """Have more happen than a watcher is told in one message."""
    service.app.store.add([new_task(payload={"text": LARGE}) for _ in range(BATCH)])


def kept_bytes() -> int:
    """What all messages that this process keeps take."""
    return sum(len(found.text) for found in gc.get_objects() if type(found) is Frame)


def left_behind(service: Service, watcher: Watching) -> int:
    """How many tasks it took until a watcher that does not read was let go."""
    watcher.until("hello")
    count = 0
    while service.watchers:
        flood(service)
        count += BATCH
        assert kept_bytes() < MOST_BYTES
    return count


def test_watcher_that_does_not_read_is_let_go_and_misses_nothing_when_it_comes_back(api: Service) -> None:
    with watching(api.url, reads=False) as watcher:
        count = left_behind(api, watcher)
        assert count >= 1000

        # Nothing is kept for it, but for what the connection has taken already.
        assert eventually(lambda: kept_bytes() < len(LARGE) * BATCH, 5)
        frames, code = watcher.rest()

    assert (frames[-1]["type"], frames[-1]["code"], code) == ("bye", "watcher_too_slow", 4000)
    assert frames[-1]["cursor"] == frames[-2]["cursor"]
    told = seqs_of(frames)
    with watching(api.url, cursor=watcher.cursor) as again:
        told += again.told(count - len(told))
    assert told == [event.seq for event in api.app.store.events(limit=10 * count)]


def test_watcher_that_does_not_read_does_not_slow_down_the_others(api: Service) -> None:
    with watching(api.url, reads=False) as slow, watching(api.url) as quick:
        slow.until("hello")
        quick.until("hello")
        count = 0
        while api.watchers == 2:
            flood(api)
            count += BATCH
            assert len(quick.told(count)) == count

    assert quick.frames[-1]["type"] == "update"


def test_stream_that_is_not_read_is_let_go_too(api: Service) -> None:
    (task,) = api.app.store.add([new_task(payload={"text": 200 * LARGE})])
    priorities = cycle(range(10))

    def is_gone() -> bool:
        api.app.store.set_priority(TaskFilter(ids=[task.id]), next(priorities))
        return api.watchers == 0

    with api.get(f"/api/tasks/{task.id}/events", headers={"Accept": "text/event-stream"}, stream=True) as response:
        assert api.watchers == 1

        eventually(is_gone, 30)

        assert '"code":"watcher_too_slow"' in response.text.rpartition("event: bye")[2]


def test_watchers_beyond_the_limit_are_refused_until_one_leaves(few: Service) -> None:
    with ExitStack() as first, watching(few.url):
        first.enter_context(watching(few.url))
        status, problem = refusal(few.url)
        assert (status, problem["code"], problem["limit"]) == (503, "watchers_full", 2)
        assert few.get("/api/tasks").ok

        first.close()

        eventually(lambda: few.watchers == 1)
        with watching(few.url) as another:
            assert another.frame()["type"] == "hello"


def test_refused_watchers_do_not_count(few: Service) -> None:
    for _ in range(3):
        assert refusal(few.url, "/ws/tasks/0199a1f0")[0] == 404
        assert refusal(few.url, cursor=10**15)[0] == 422

    assert few.watchers == 0


def test_watcher_is_asked_to_come_later_while_nobody_knows_where_the_events_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.api.watchers._READY_SECONDS", 0.3)
    with serving(tmp_path / "data", {"database": {"url": fresh_database()}}) as service:
        with service.app.database.write() as transaction:
            add_tasks(transaction, [new_task()], service.app.clock.now())
            service.app.store.add([new_task()])

            status, problem = refusal(service.url)
            assert (status, problem["code"]) == (503, "watchers_not_ready")

        with watching(service.url) as watcher:
            assert watcher.frame()["type"] == "hello"


@pytest.mark.parametrize("end", ["closes", "drops"])
def test_watcher_that_leaves_is_forgotten(few: Service, end: str) -> None:
    with watching(few.url) as watcher:
        watcher.until("hello")
        assert few.watchers == 1
        if end == "drops":
            watcher.drop()
            assert eventually(lambda: few.watchers == 0)

    assert eventually(lambda: few.watchers == 0)


def test_stop_of_the_server_tells_all_watchers(tmp_path: Path) -> None:
    stream: dict[str, Any] = {"headers": {"Accept": "text/event-stream", "Accept-Language": "zh"}, "stream": True}
    with serving(tmp_path / "data") as service, ExitStack() as stack:
        task = service.app.tasks.submit("ping", {})
        watchers = [
            stack.enter_context(watching(service.url, path, headers={"Accept-Language": language}))
            for path in ("/ws/tasks", f"/ws/tasks/{task.id}")
            for language in ("en", "zh")
        ]
        response = stack.enter_context(service.get(f"/api/tasks/{task.id}/events", **stream))
        eventually(lambda: service.watchers == 5)

        service.stop()

        ends = [watcher.rest() for watcher in watchers]
        told = response.text

    for frames, code in ends:
        assert (frames[-1]["type"], frames[-1]["code"], code) == ("bye", "server_stopping", 4000)
    assert [frames[-1]["message"][:3] for frames, _ in ends] == ["The", "服务器", "The", "服务器"]
    assert '"code":"server_stopping","message":"服务器' in told.rpartition("event: bye")[2]
