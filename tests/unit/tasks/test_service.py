from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.engines.bell import Bell
from gristmill.engines.broker import BrokerEngine
from gristmill.errors import Conflict, InvalidInput, NotFound, Unavailable
from gristmill.kinds import KINDS
from gristmill.tasks.model import Completed, Failed, Progress, TaskFilter, TaskState
from gristmill.tasks.service import TaskService, eta_seconds
from tests.contracts.engines import Line
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, Bench


@pytest.fixture
def service(bench: Bench, clock: TestClock, tmp_path: Path) -> Iterator[TaskService]:
    """One whose broker does not answer."""
    line = Line()
    line.fault = Unavailable("broker_unreachable", reason="refused")
    engine = BrokerEngine(line, Bell(tmp_path))
    yield TaskService(bench.store, engine, KINDS, clock)
    engine.close()


def test_submit_accepts_when_the_engine_is_down(service: TaskService, bench: Bench) -> None:
    task = service.submit("ping", {"note": "x"})

    assert bench.get(task) == task
    assert (task.state, task.engine) == (TaskState.PENDING, "line")


def test_cancel_is_kept_when_the_engine_is_down(service: TaskService, bench: Bench) -> None:
    task = service.submit("ping", {})

    assert service.cancel_one(task.id).state is TaskState.CANCELLED
    assert bench.get(task).state is TaskState.CANCELLED


def test_submit_takes_queue_and_limits_from_the_kind(service: TaskService, clock: TestClock) -> None:
    task = service.submit("process_document", {"source": "x"}, priority=7, delay_seconds=1.5)

    kind = KINDS["process_document"]
    assert (task.queue, task.hard_limit_seconds, task.max_attempts) == (
        kind.queue,
        kind.hard_limit_seconds,
        kind.retry.max_attempts,
    )
    assert (task.priority, task.due, task.scheduled_at) == (7, False, clock.now() + 1_500_000)


@pytest.mark.parametrize(
    ("kind", "payload", "priority", "code"),
    [
        ("nothing", {}, 5, "kind_unknown"),
        ("ping", {}, 10, "priority_out_of_range"),
        ("ping", {}, -1, "priority_out_of_range"),
        ("ping", {"seconds": "x"}, 5, "payload_field_type"),
    ],
)
def test_submit_refuses_what_could_never_run(
    service: TaskService, bench: Bench, kind: str, payload: dict[str, Any], priority: int, code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        service.submit(kind, payload, priority=priority)

    assert caught.value.code == code
    assert bench.store.counts(TaskFilter()) == {}


def test_submit_with_a_key_tells_requests_apart_by_kind_payload_and_priority(service: TaskService) -> None:
    first = service.submit("ping", {"note": "a", "seconds": 1.0}, idempotency_key="k")

    same = service.submit("ping", {"seconds": 1.0, "note": "a"}, idempotency_key="k")

    assert same.id == first.id
    for payload, priority in (({"note": "b"}, 5), ({"note": "a", "seconds": 1.0}, 6)):
        with pytest.raises(Conflict):
            service.submit("ping", payload, priority=priority, idempotency_key="k")


def test_retry_one_refuses_a_task_that_has_not_failed(service: TaskService, bench: Bench) -> None:
    done, failed = bench.ended(Completed()), bench.ended(Failed(error=ERROR))

    with pytest.raises(Conflict, match="completed"):
        service.retry_one(done.id)

    assert service.retry_one(failed.id).state is TaskState.PENDING
    with pytest.raises(NotFound):
        service.retry_one("nobody")


def test_wait_answers_at_once_when_the_task_has_ended_and_in_time_when_not(service: TaskService, bench: Bench) -> None:
    done, open_ = bench.ended(Completed()), bench.add()

    assert service.wait(done.id, timeout_seconds=30).state is TaskState.COMPLETED
    assert service.wait(open_.id, timeout_seconds=0.01).state is TaskState.PENDING
    assert service.wait(open_.id, timeout_seconds=-1).state is TaskState.PENDING


@pytest.mark.parametrize(
    ("progress", "seconds", "expected"),
    [
        (Progress(done=2, total=10), 10, 40.0),
        (Progress(done=1, failed=1, skipped=2, total=8), 4, 4.0),
        (Progress(done=10, total=10), 5, 0.0),
        (Progress(done=12, total=10), 5, 0.0),
        (Progress(done=0, total=10), 5, None),
        (Progress(done=3), 5, None),
        (Progress(done=3, total=0), 5, None),
    ],
)
def test_eta_follows_the_rate_of_the_attempt(
    bench: Bench, clock: TestClock, progress: Progress, seconds: float, expected: float | None
) -> None:
    task = bench.started()
    bench.store.progress(task.id, task.lease, progress)
    clock.pass_time(seconds)

    assert eta_seconds(bench.get(task), clock.now()) == expected


def test_eta_is_never_negative_when_the_clock_jumps_back_and_unknown_when_nothing_runs(
    bench: Bench, clock: TestClock
) -> None:
    task = bench.started()
    bench.store.progress(task.id, task.lease, Progress(done=1, total=2))
    clock.jump(-3600)

    assert eta_seconds(bench.get(task), clock.now()) == 0.0
    assert eta_seconds(bench.add(), clock.now()) is None
    assert eta_seconds(bench.end(task, Completed()), clock.now()) is None


@pytest.mark.parametrize(
    ("progress", "percent"),
    [
        (Progress(), 0),
        (Progress(done=1, total=3), 33),
        (Progress(done=999, total=1000), 99),
        (Progress(done=1, failed=1, skipped=1, total=3), 100),
        (Progress(done=5, total=3), 100),
        (Progress(done=5, total=0), 0),
    ],
)
def test_percent_is_rounded_down_so_that_100_means_done(progress: Progress, percent: int) -> None:
    assert progress.percent == percent
