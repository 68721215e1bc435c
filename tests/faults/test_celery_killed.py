"""The Celery engine under fire: whatever dies or forgets, each task runs once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.tasks.model import Task, TaskState
from tests.support.celery_bench import LONG_SECONDS, CeleryBench, celery_bench, is_alive, kill_all
from tests.support.proxy import proxy_to
from tests.support.valkey import fresh_broker, own_server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def bench(database: str | None, tmp_path: Path) -> Iterator[CeleryBench]:
    with celery_bench(tmp_path, fresh_broker(), database) as bench:
        yield bench


def running(bench: CeleryBench) -> Task:
    """A task that a worker runs, and would for long."""
    task = bench.ping(LONG_SECONDS)
    bench.reaches(TaskState.PROCESSING, task)
    return task


def given_up(bench: CeleryBench, task: Task) -> Task:
    """The task once its worker is known to be gone."""
    return bench.reaches(TaskState.PENDING, task)[0]


def test_task_that_is_delivered_five_times_runs_once(bench: CeleryBench) -> None:
    tasks = [bench.ping() for _ in range(30)]
    for _ in range(4):
        bench.publish(*tasks)

    bench.worker()
    bench.worker("-n", "celery2@%h", "-c", "1")

    bench.ran_once(*tasks)
    assert eventually(lambda: bench.in_broker() == 0, seconds=20)


def test_broker_that_forgets_everything_loses_no_task(bench: CeleryBench) -> None:
    front = bench.worker()
    long = running(bench)
    tasks = [bench.ping() for _ in range(30)]

    bench.redis.flushall()

    bench.app.tasks.cancel_one(long.id)
    bench.ran_once(*tasks)
    later = bench.ping()
    bench.ran_once(later)
    assert eventually(lambda: bench.in_broker() == 0, seconds=20)
    assert front.process.poll() is None


def test_killed_front_takes_no_task_along(bench: CeleryBench) -> None:
    front = bench.worker()
    crew = front.crew()
    task = running(bench)
    waiting = [bench.ping() for _ in range(5)]

    front.know_members()
    front.process.kill()
    front.process.wait()

    # Its crew sees that it is alone, and gives back what it cannot end in time.
    assert given_up(bench, task).crash_count == 0
    assert eventually(lambda: not is_alive(crew))
    bench.worker()
    bench.app.tasks.cancel_one(task.id)
    bench.ran_once(*waiting)


def test_killed_crew_is_replaced(bench: CeleryBench) -> None:
    front = bench.worker()
    task = running(bench)
    crew = front.crew()

    crew.kill()

    assert eventually(lambda: bench.happened(task, "claimed") == 2, seconds=40)
    assert bench.app.store.get(task.id).crash_count == 1
    assert front.crew() != crew
    assert front.process.poll() is None


def test_killed_group_is_followed_by_another(bench: CeleryBench) -> None:
    first = bench.worker()
    task = running(bench)

    kill_all(first.know_members())

    bench.worker()
    assert eventually(lambda: bench.happened(task, "claimed") == 2, seconds=40)
    assert bench.app.store.get(task.id).crash_count == 1


def test_call_of_a_stranger_that_a_killed_front_held_is_delivered_again(tmp_path: Path) -> None:
    with celery_bench(tmp_path, fresh_broker()) as bench:
        first = bench.worker()
        # Its row cannot be made for as long as somebody else writes.
        with bench.app.database.write():
            sent = bench.stranger().send_task("ping_task", queue="default")
            assert eventually(lambda: bench.redis.hlen("unacked") == 1)
            kill_all(first.know_members())
        assert bench.app.store.get_many([sent.id]) == []

        bench.worker()

        bench.reaches(TaskState.COMPLETED, sent.id, seconds=60)
        assert bench.happened(sent.id, "claimed") == 1


def test_broker_that_restarts_twenty_times_interrupts_no_task(tmp_path: Path, database: str | None) -> None:
    with own_server(tmp_path / "valkey") as server, celery_bench(tmp_path, server.url(), database) as bench:
        front = bench.worker("-c", "2")
        tasks = [bench.ping(3)]

        for _ in range(20):
            server.kill()
            tasks += [bench.ping() for _ in range(5)]
            server.start()
            tasks += [bench.ping() for _ in range(5)]

        bench.ran_once(*tasks)
        assert front.process.poll() is None
        # And it receives messages again.
        sent = bench.stranger().send_task("ping_task", queue="default")
        bench.reaches(TaskState.COMPLETED, sent.id)


def test_tasks_run_while_the_broker_is_away_for_good(tmp_path: Path) -> None:
    with own_server(tmp_path / "valkey") as server, celery_bench(tmp_path, server.url()) as bench:
        front = bench.worker()

        server.kill()
        tasks = [bench.ping() for _ in range(20)]

        bench.ran_once(*tasks)
        # A worker whose broker is away can still be ended.
        assert front.stop() == 0
        assert not any(is_alive(member) for member in front.members)


def test_connection_that_died_silently_delays_no_task_and_is_replaced(tmp_path: Path, database: str | None) -> None:
    with (
        own_server(tmp_path / "valkey") as server,
        proxy_to(server.port) as proxy,
        celery_bench(tmp_path, f"redis://127.0.0.1:{proxy.port}/0", database) as bench,
    ):
        front = bench.worker()
        bench.ran_once(bench.ping())

        proxy.fall_silent()
        tasks = [bench.ping() for _ in range(10)]
        bench.ran_once(*tasks)
        engine = bench.app.engines.members["celery"]
        assert eventually(lambda: not engine.health()["ok"])
        proxy.speak()

        assert eventually(lambda: engine.health()["ok"], seconds=20)
        sent = bench.stranger().send_task("ping_task", queue="default")
        bench.reaches(TaskState.COMPLETED, sent.id)
        assert front.process.poll() is None


def test_worker_starts_before_its_broker_does(tmp_path: Path) -> None:
    with own_server(tmp_path / "valkey") as server, celery_bench(tmp_path, server.url()) as bench:
        server.kill()
        bench.start("celery", "--app", "gristmill.celery", "worker", "-c", "1", "-l", "INFO")
        task = bench.ping()
        bench.ran_once(task)

        server.start()

        assert eventually(lambda: "celery.ready" in bench.logs(), seconds=40)
