"""The RQ engine under fire: whatever dies or forgets, each task runs once, and RQ shows what is so."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from redis import Redis

from gristmill.engines.broker import BrokerEngine
from gristmill.tasks.model import Task, TaskState
from tests.support.pausing import pause
from tests.support.proxy import proxy_to
from tests.support.rq_bench import LONG_SECONDS, RqBench, rq_bench
from tests.support.valkey import fresh_broker, own_server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def bench(database: str | None, tmp_path: Path) -> Iterator[RqBench]:
    with rq_bench(tmp_path / "data", fresh_broker(), database) as bench:
        yield bench


def publish(bench: RqBench, *tasks: Task) -> None:
    """Deliver ``tasks``, for the first time or once more."""
    rq = bench.app.engines.members["rq"]
    assert isinstance(rq, BrokerEngine)
    rq.dispatch(tasks)
    rq.flush()


def ran_once(bench: RqBench, *tasks: Task) -> None:
    """All of ``tasks`` were claimed once and completed once."""
    bench.reaches(TaskState.COMPLETED, *tasks)
    assert {(bench.happened(task, "claimed"), bench.happened(task, "completed")) for task in tasks} == {(1, 1)}


def running(bench: RqBench) -> Task:
    """A task that a worker runs, and would for long."""
    task = bench.ping(LONG_SECONDS)
    assert bench.shows("started", task)
    return task


def die(members: list[psutil.Process]) -> None:
    """All at once, without a word."""
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.kill()


def given_up(bench: RqBench, task: Task) -> Task:
    """The task once its worker is known to be gone."""
    return eventually(
        lambda: row if (row := bench.app.store.get(task.id)).state is TaskState.PENDING else None, seconds=40
    )


def test_task_that_is_delivered_five_times_runs_once(bench: RqBench) -> None:
    tasks = [bench.ping() for _ in range(30)]
    for _ in range(4):
        publish(bench, *tasks)

    bench.worker()
    bench.worker()

    ran_once(bench, *tasks)
    assert bench.shows("finished", *tasks)
    assert eventually(lambda: not any(ids for name, ids in bench.listed().items() if name != "finished"), seconds=40)


def test_broker_that_forgets_everything_loses_no_task(bench: RqBench) -> None:
    front = bench.worker()
    long = running(bench)
    tasks = [bench.ping() for _ in range(30)]

    bench.redis.flushall()

    # What runs is listed again, and so are the workers; what comes is shown as before.
    assert bench.shows("started", long)
    assert eventually(lambda: long.id in bench.listed()["started"])
    bench.app.tasks.cancel_one(long.id)
    ran_once(bench, *tasks)
    assert bench.shows("canceled", long)
    assert eventually(lambda: len(bench.workers()) == len(bench.app.settings.workers.queues), seconds=20)
    later = bench.ping()
    assert bench.shows("finished", later)
    assert front.process.poll() is None


def test_killed_front_takes_no_task_along(bench: RqBench) -> None:
    front = bench.worker()
    crew = front.crew()
    task = running(bench)
    waiting = [bench.ping() for _ in range(5)]

    front.know_members()
    front.process.kill()
    front.process.wait()

    # Its crew sees that it is alone, and gives back what it cannot end in time.
    assert given_up(bench, task).crash_count == 0
    assert eventually(lambda: not crew.is_running())
    bench.worker()
    bench.app.tasks.cancel_one(task.id)
    bench.reaches(TaskState.COMPLETED, *waiting)
    assert bench.shows("finished", *waiting)


def test_killed_crew_is_replaced(bench: RqBench) -> None:
    front = bench.worker()
    task = running(bench)
    crew = front.crew()

    crew.kill()

    assert eventually(lambda: bench.happened(task, "claimed") == 2, seconds=40)
    assert bench.app.store.get(task.id).crash_count == 1
    assert front.crew() != crew
    assert front.process.poll() is None
    bench.app.tasks.cancel_one(task.id)
    assert bench.shows("canceled", task)


def test_killed_group_is_followed_by_another(bench: RqBench) -> None:
    first = bench.worker()
    task = running(bench)

    die(first.know_members())

    bench.worker()
    assert eventually(lambda: bench.happened(task, "claimed") == 2, seconds=40)
    bench.app.tasks.cancel_one(task.id)
    assert bench.shows("canceled", task)
    # Nothing of the first stays behind, neither the worker nor the execution.
    assert eventually(lambda: bench.listed()["started"] == [] and len(bench.workers()) == 5, seconds=60)


def test_hint_that_a_killed_front_had_taken_is_put_back(bench: RqBench) -> None:
    first = bench.worker()
    # It takes hints and nobody claims their rows.
    crew = first.crew()
    eventually(crew.children)
    pause(bench.app.database, crew, *crew.children())
    task = bench.ping()
    assert eventually(lambda: bench.listed()["taken"] == [task.id])
    die(first.know_members())

    bench.worker()

    ran_once(bench, task)
    assert bench.shows("finished", task)
    assert eventually(lambda: bench.listed()["taken"] == [], seconds=60)


def test_broker_that_restarts_twenty_times_interrupts_no_task(tmp_path: Path, database: str | None) -> None:
    with own_server(tmp_path / "valkey") as server, rq_bench(tmp_path / "data", server.url(), database) as bench:
        front = bench.worker()
        tasks = [bench.ping(3)]
        assert bench.shows("started", *tasks)

        for _ in range(20):
            server.kill()
            tasks += [bench.ping() for _ in range(5)]
            server.start()
            tasks += [bench.ping() for _ in range(5)]

        ran_once(bench, *tasks)
        assert front.process.poll() is None
        # And it receives hints again, as soon as who submits has seen the broker.
        assert eventually(lambda: len(bench.workers()) == len(bench.app.settings.workers.queues), seconds=30)
        assert eventually(lambda: bench.app.engines.members["rq"].health()["ok"], seconds=20)
        assert bench.shows("finished", bench.ping())


def test_connection_that_died_silently_delays_no_task_and_is_replaced(tmp_path: Path, database: str | None) -> None:
    with (
        own_server(tmp_path / "valkey") as server,
        proxy_to(server.port) as proxy,
        rq_bench(tmp_path / "data", f"redis://127.0.0.1:{proxy.port}/0", database) as bench,
    ):
        # Whoever looks from outside is on the right side of the proxy.
        bench.redis.close()
        bench.redis = Redis.from_url(server.url())
        front = bench.worker()
        ran_once(bench, bench.ping())

        proxy.fall_silent()
        ran_once(bench, *[bench.ping() for _ in range(10)])
        engine = bench.app.engines.members["rq"]
        assert eventually(lambda: not engine.health()["ok"])
        proxy.speak()

        assert eventually(lambda: engine.health()["ok"], seconds=20)
        later = bench.ping()
        ran_once(bench, later)
        assert bench.shows("finished", later)
        assert front.process.poll() is None
