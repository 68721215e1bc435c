"""What waits, runs and ended of late, as one sees it who watches."""

import pytest

from gristmill.db.database import Database
from gristmill.db.queues import Ended, QueueDepth, Queues
from gristmill.tasks.model import Completed, Failed
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, Bench


@pytest.fixture
def queues(task_database: Database, task_clock: TestClock) -> Queues:
    return Queues(task_database, task_clock)


def test_depths_tell_queues_and_engines_apart(bench: Bench, queues: Queues, task_clock: TestClock) -> None:
    began = task_clock.now()
    bench.add()
    task_clock.pass_time(1)
    bench.add()
    bench.started(priority=9)
    bench.add(engine="rq")
    bench.add(queue="documents", scheduled_at=2**52)
    bench.ended(Completed(), priority=9)

    assert list(queues.depths()) == [
        QueueDepth(queue="default", engine="local", ready=2, active=1, oldest_ready_at=began),
        QueueDepth(queue="default", engine="rq", ready=1, oldest_ready_at=began + 1_000_000),
        QueueDepth(queue="documents", engine="local", scheduled=1),
    ]


def test_ready_tasks_come_most_urgent_first_from_all_queues(bench: Bench, queues: Queues) -> None:
    low = bench.add(priority=1)
    urgent = bench.add(priority=9, queue="documents", engine="rq")
    usual = bench.add()
    bench.add(scheduled_at=2**52, priority=9)

    assert [task.id for task in queues.ready(limit=10)] == [urgent.id, usual.id, low.id]
    assert [task.id for task in queues.ready(limit=1)] == [urgent.id]


def test_scheduled_tasks_come_nearest_first(bench: Bench, queues: Queues) -> None:
    later = bench.add(scheduled_at=2**52)
    sooner = bench.add(scheduled_at=2**52 - 1)
    bench.add()

    assert [task.id for task in queues.scheduled(limit=10)] == [sooner.id, later.id]


def test_parent_that_waits_for_its_children_does_not_run(bench: Bench, queues: Queues, task_clock: TestClock) -> None:
    parent, _ = bench.waiting()
    first = bench.started(priority=9)
    task_clock.pass_time(1)
    second = bench.started(priority=9)

    assert [task.id for task in queues.running(limit=10)] == [first.id, second.id]
    assert bench.get(parent).state == "processing"


def test_ended_counts_the_latest_and_no_cancelled_one(bench: Bench, queues: Queues, task_clock: TestClock) -> None:
    bench.ended(Failed(error=ERROR))
    task_clock.pass_time(301)
    bench.ended(Failed(error=ERROR))
    bench.ended(Completed())
    bench.cancel(bench.add().id)

    assert queues.ended(within_seconds=300) == Ended(completed=1, failed=1)
