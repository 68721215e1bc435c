"""Connections break all the time, on either side of the API: nothing that happens to tasks is missed or told twice."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from gristmill.db.tasks.moves import add_tasks
from gristmill.errors import Unavailable
from gristmill.tasks.model import Event, NewTask, TaskFilter, TaskState
from tests.integration.worker.conftest import Mill
from tests.support.api import api_process
from tests.support.history import all_events, what_broke
from tests.support.pairs import every_pair
from tests.support.postgres import own_server
from tests.support.service import serving
from tests.support.tasks import new_task
from tests.support.valkey import fresh_broker
from tests.support.waiting import eventually
from tests.support.watching import seqs_of, watching

pytestmark = pytest.mark.slow

CUSTOMERS = 4
TASKS = 16
CANCELLED = 7
"""Every so manieth task is cancelled and tried again, and another is accepted slowly."""
PAUSE_SECONDS = 0.08
CUT_SECONDS = 0.1


class Follower:
    """Follows tasks with a cursor; its connection is cut every now and then, at any moment."""

    def __init__(self, url: str, cursor: int, seed: int, **query: Any) -> None:
        self.url = url
        self.told: list[int] = []
        self.cuts = 0
        self.until: int | None = None
        """The last event that it has to be told of."""
        self._cursor = cursor
        self._query = query
        self._chance = random.Random(seed)

    def follow(self) -> None:
        """Come back again and again until it was told of the last."""
        while self.until is None or self.told[-1:] < [self.until]:
            try:
                self._follow_for(self._chance.uniform(0.0, 2 * CUT_SECONDS))
            except InvalidStatus as refused:
                if refused.response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
            except (OSError, InvalidHandshake, ConnectionClosed):
                # The API is not there.
                self.cuts += 1
                threading.Event().wait(CUT_SECONDS)

    def _follow_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with watching(self.url, cursor=self._cursor, **self._query) as watcher:
            while (left := end - time.monotonic()) > 0:
                try:
                    frame = watcher.frame(left)
                except TimeoutError:
                    break
                self.told += seqs_of([frame])
                self._cursor = int(frame["cursor"])
            watcher.drop()
            self.cuts += 1


class Customer:
    """Hands in tasks one by one, and changes its mind about some; takes its time over others."""

    def __init__(self, mill: Mill, seed: int) -> None:
        self._mill = mill
        self._chance = random.Random(seed)
        self.accepted: list[str] = []

    def order(self) -> None:
        tasks = self._mill.app.tasks
        for number in range(TASKS):
            task = tasks.submit("ping", {}, collection=("kept", "other")[number % 2])
            self.accepted.append(task.id)
            if number % CANCELLED == 0:
                tasks.cancel_one(task.id)
                tasks.retry(TaskFilter(ids=[task.id]))
            if number % CANCELLED == 1:
                self._order_slowly(tasks.draft("ping", {}))
            self._pause()

    def _order_slowly(self, task: NewTask) -> None:
        # The numbers of its events are given at the beginning, and seen at the end.
        with self._mill.app.database.write() as transaction:
            add_tasks(transaction, [task], self._mill.app.clock.now())
            self._pause()
        self.accepted.append(task.id)

    def _pause(self) -> None:
        threading.Event().wait(self._chance.uniform(0.0, PAUSE_SECONDS))


def happen(mill: Mill, threads: ThreadPoolExecutor, seed: int) -> list[str]:
    """Have several hand in tasks at once, and one that takes its process down; the ids, once all were accepted."""
    fatal = mill.app.tasks.submit("moody", {"moods": ["exit"]}, collection="kept")
    customers = [Customer(mill, seed + number) for number in range(CUSTOMERS)]
    for order in [threads.submit(customer.order) for customer in customers]:
        order.result()
    return [fatal.id, *(task_id for customer in customers for task_id in customer.accepted)]


def seqs(events: Sequence[Event], collection: set[str] | None = None) -> list[int]:
    return [event.seq for event in events if collection is None or event.task_id in collection]


@every_pair
def test_client_whose_connection_breaks_all_the_time_is_told_every_event_once(
    make_mill: Callable[..., Mill], engine: str
) -> None:
    broker = {} if engine == "local" else {"redis": {"url": fresh_broker()}, "engine": {"name": engine}}
    mill = make_mill(**broker)
    mill.start(concurrency=2, engine=engine)
    before = mill.app.tasks.submit("ping", {})
    store = mill.app.store
    first = store.events(before.id)[0].seq

    with ThreadPoolExecutor() as threads, ExitStack() as stack:
        with api_process(mill.app.settings.data, **mill.environment) as api:
            followers = [Follower(api.url, first, 1), Follower(api.url, first, 2, collection="kept")]
            following = [threads.submit(follower.follow) for follower in followers]
            accepted = happen(mill, threads, seed=10)
        # It is killed here, and tasks go on.
        accepted += happen(mill, threads, seed=20)
        api = stack.enter_context(api_process(mill.app.settings.data, **mill.environment))
        for follower in followers:
            follower.url = api.url
        accepted += happen(mill, threads, seed=30)
        eventually(lambda: not store.counts(TaskFilter(states=[TaskState.PENDING, TaskState.PROCESSING])), 60)
        events = [event for event in all_events(store) if event.seq > first]
        kept = {task.id for task in store.find(TaskFilter(collection="kept"), limit=len(accepted))}
        expected = [seqs(events), seqs(events, kept)]
        for follower, own in zip(followers, expected, strict=True):
            follower.until = own[-1]
        wait(following, timeout=30)

    for told in following:
        told.result(timeout=0)
    assert [follower.told for follower in followers] == expected
    assert min(follower.cuts for follower in followers) > 20
    names = {event.name for event in events}
    assert {"submitted", "claimed", "cancelled", "retried", "completed", "worker_lost"} <= names
    assert what_broke(store, [before.id, *accepted]) == []


def test_watcher_is_told_every_event_once_while_the_database_drops_its_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.api.watchers._TROUBLE_SECONDS", 0.02)
    enough = threading.Event()
    with own_server() as server, serving(tmp_path / "data", {"database": {"url": server.url()}}) as service:

        def drop() -> int:
            dropped = 0
            while not enough.wait(0.02):
                dropped += server.end_connections()
            return dropped

        with watching(service.url) as watcher, ThreadPoolExecutor() as threads:
            first = int(watcher.until("hello")["cursor"])
            dropping = threads.submit(drop)
            for _ in range(100):
                with suppress(Unavailable):
                    service.app.store.add([new_task() for _ in range(3)])
            enough.set()
            dropped = dropping.result()
            events = [event.seq for event in all_events(service.app.store) if event.seq > first]
            told = watcher.told(len(events))

    assert told == events
    assert len(events) > 100
    assert dropped > 10
