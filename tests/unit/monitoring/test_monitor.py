"""The monitor: what an operator sees is what the rows say, and purging cancels what waits and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.app import Gristmill, open_gristmill
from gristmill.errors import NotFound
from gristmill.monitoring.monitor import Monitor, QueueLength
from gristmill.settings import Settings
from gristmill.tasks.model import TaskState
from tests.support.clock import TestClock
from tests.support.tasks import Bench, new_task, new_worker


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def app(tmp_path: Path, clock: TestClock) -> Iterator[Gristmill]:
    app = open_gristmill(Settings(data=tmp_path / "data"), clock=clock)
    yield app
    app.close()


@pytest.fixture
def bench(app: Gristmill) -> Bench:
    return Bench(app.store)


@pytest.fixture
def monitor(app: Gristmill) -> Monitor:
    return app.monitor


def test_each_task_is_at_one_point_of_its_way(bench: Bench, monitor: Monitor) -> None:
    ready, scheduled = bench.add(), bench.add(scheduled_at=2**52)
    active = bench.started(priority=9)

    seen = [[task.id for task in tasks] for tasks in (monitor.reserved(), monitor.scheduled(), monitor.active())]

    assert seen == [[ready.id], [scheduled.id], [active.id]]
    assert monitor.task(active.id).state is TaskState.PROCESSING


def test_queues_are_told_of_empty_or_not_and_over_all_engines(bench: Bench, monitor: Monitor, clock: TestClock) -> None:
    bench.add(engine="rq")
    clock.pass_time(7)
    bench.add()
    bench.add(queue="own", scheduled_at=2**52)

    assert monitor.queues() == [
        QueueLength(queue="default", waiting=2, oldest_seconds=7.0),
        QueueLength(queue="documents"),
        QueueLength(queue="images"),
        QueueLength(queue="metadata"),
        QueueLength(queue="own", scheduled=1),
    ]


def test_health_needs_a_worker_that_lives(app: Gristmill, monitor: Monitor, clock: TestClock) -> None:
    without = monitor.health()
    app.store.register_worker(new_worker(host="elsewhere"))
    with_one = monitor.health()
    clock.pass_time(31)
    silent = monitor.health()

    assert (without.status, without.active_workers) == ("unhealthy", 0)
    assert "gristmill worker" in (without.reason() or "")
    assert (with_one.status, with_one.reason(), with_one.worker_names) == ("healthy", None, ("local@worker-1",))
    assert silent.status == "unhealthy"
    assert [seen.alive for seen in monitor.workers()] == [False]


def test_purge_cancels_what_waits_in_one_queue(bench: Bench, app: Gristmill, monitor: Monitor) -> None:
    running = bench.started(priority=9)
    waiting = app.store.add([new_task() for _ in range(1201)])
    later = bench.add(scheduled_at=2**52)
    other = bench.add(queue="own")

    assert monitor.purge("default") == 1202

    assert {bench.get(task.id).state for task in (*waiting[:3], waiting[-1], later)} == {TaskState.CANCELLED}
    assert bench.get(other).state is TaskState.PENDING
    assert bench.get(running).cancel_requested is False
    assert monitor.purge("default") == 0


def test_purge_of_a_queue_that_is_none_changes_nothing(bench: Bench, monitor: Monitor) -> None:
    task = bench.add()

    with pytest.raises(NotFound, match="default, documents"):
        monitor.purge("nowhere")

    assert bench.get(task).state is TaskState.PENDING


def test_cancel_by_the_monitor_is_the_cancel_of_the_task(bench: Bench, monitor: Monitor) -> None:
    assert monitor.cancel(bench.add().id).state is TaskState.CANCELLED
