"""Shares of the engines change while tasks come in and run, and rolling back loses and repeats nothing."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from gristmill.tasks.model import TaskFilter, TaskState
from tests.integration.worker.conftest import Mill
from tests.support.history import effects_in, prepare_effects, what_broke
from tests.support.valkey import Server, own_server
from tests.support.waiting import eventually

CHANGES = 12
TASKS_A_CHANGE = 25


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with own_server(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def shared(make_mill: Callable[..., Mill], broker: Server) -> Mill:
    """A Gristmill whose tasks Celery and RQ share, each with a worker."""
    mill = make_mill(redis={"url": broker.url()}, engine={"name": "rq", "ratio": 0.5})
    prepare_effects(mill.app.database)
    for engine in ("celery", "rq"):
        mill.start(engine=engine)
    return mill


def in_state(mill: Mill, *states: TaskState) -> int:
    return sum(mill.app.store.counts(TaskFilter(states=states)).values())


def test_nothing_is_lost_or_done_twice_while_shares_change_under_load(shared: Mill) -> None:
    source = random.Random(7)
    accepted: list[str] = []

    def submit() -> None:
        for _ in range(CHANGES * TASKS_A_CHANGE):
            accepted.append(shared.submit("counted").id)  # noqa: PERF401 - others watch it grow

    def has_accepted(count: int) -> bool:
        return len(accepted) >= count

    customer = threading.Thread(target=submit)
    customer.start()
    for number in range(CHANGES):
        eventually(partial(has_accepted, number * TASKS_A_CHANGE), 60)
        shared.app.engines.set_ratio(source.choice([0.0, 0.2, 0.5, 1.0]))
        shared.app.sweeper.reassign()
    customer.join()
    shared.app.engines.use("rq")
    shared.app.sweeper.reassign()

    eventually(lambda: in_state(shared, TaskState.COMPLETED) == len(accepted), 90)
    tasks = shared.app.store.find(TaskFilter(), limit=10_000)
    ran = Counter(task.engine for task in tasks)
    assert set(ran) == {"celery", "rq"}
    assert {task.attempt for task in tasks} == {1}
    assert what_broke(shared.app.store, accepted, effects=effects_in(shared.app.database)) == []


def test_rolling_back_takes_over_what_a_dead_engine_leaves(shared: Mill) -> None:
    celery, _ = shared.workers
    for process in shared.tree(celery):
        process.kill()
    tasks = [shared.submit("counted") for _ in range(30)]

    shared.app.engines.set_ratio(0.0)
    shared.app.sweeper.reassign()

    ended = [shared.ended(task, 60) for task in tasks]
    assert {(task.state, task.engine) for task in ended} == {(TaskState.COMPLETED, "rq")}
    assert what_broke(shared.app.store, [task.id for task in tasks], effects=effects_in(shared.app.database)) == []
