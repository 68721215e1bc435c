"""What people ask for by RQ's own means reaches the rows."""

import os
import pickle  # noqa: TID251 - what comes of one is looked at here
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from rq.command import send_shutdown_command, send_stop_job_command
from rq.job import Job
from rq.serializers import JSONSerializer

from gristmill.errors import Conflict
from gristmill.kinds import KINDS
from gristmill.rq import index_document
from gristmill.tasks.model import TaskFilter, TaskState
from gristmill.worker.rq.reading import job_for
from tests.support.rq_bench import LONG_SECONDS, RqBench
from tests.support.tasks import new_task
from tests.support.waiting import eventually


def test_stop_of_a_job_cancels_its_task(either: RqBench) -> None:
    either.worker()
    task = either.ping(LONG_SECONDS)
    assert either.shows("started", task)

    send_stop_job_command(either.redis, task.id, serializer=JSONSerializer)

    either.reaches(TaskState.CANCELLED, task)
    assert either.shows("canceled", task)


def test_cancel_of_a_job_cancels_its_task_although_nobody_is_told(bench: RqBench) -> None:
    task = bench.ping()
    assert bench.shows("queued", task)

    bench.job(task).cancel()
    bench.worker()

    # Its front looks for cancels long before its slots are up.
    bench.reaches(TaskState.CANCELLED, task)
    assert bench.happened(task, "claimed") == 0


def test_cancel_of_a_running_job_stops_its_task(bench: RqBench) -> None:
    bench.worker()
    task = bench.ping(LONG_SECONDS)
    assert bench.shows("started", task)

    bench.job(task).cancel()

    bench.reaches(TaskState.CANCELLED, task)
    assert eventually(lambda: bench.listed()["started"] == [])


def test_task_that_is_retried_after_a_cancel_is_not_cancelled_again(bench: RqBench) -> None:
    bench.worker()
    task = bench.ping(LONG_SECONDS)
    assert bench.shows("started", task)
    bench.app.tasks.cancel_one(task.id)
    assert bench.shows("canceled", task)

    bench.app.tasks.retry_one(task.id)

    assert bench.shows("started", task)
    # The cancel of another by RQ's means shows that cancels were looked for since.
    other = bench.ping()
    assert bench.shows("queued", other)
    bench.job(other).cancel()
    bench.reaches(TaskState.CANCELLED, other)
    assert bench.app.store.get(task.id).cancel_requested is False


def test_hints_at_a_task_that_another_engine_was_given_meanwhile_are_let_go(either: RqBench) -> None:
    moved = either.app.store.add([new_task(queue="default", engine="celery")])[0]
    either.app.tasks.cancel_one(moved.id)
    # Once for each time that it was RQ's; the first look takes away all that RQ knew of it.
    job_for(moved, either.redis).save()
    either.redis.rpush("rq:queue:default", moved.id, moved.id, moved.id)

    either.worker()

    either.reaches(TaskState.COMPLETED, either.ping())
    assert eventually(lambda: either.listed()["queued"] == [])
    assert not either.redis.exists(Job.key_for(moved.id))


def test_failed_job_that_is_requeued_runs_its_task_again(bench: RqBench) -> None:
    bench.worker()
    task = bench.app.tasks.submit("index_document", {"doc_id": 12345})
    assert bench.shows("failed", task)

    bench.job(task).requeue()

    eventually(lambda: bench.happened(task, "failed") == 2)
    assert bench.shows("failed", task)
    assert bench.happened(task, "retried") == 1


def test_shutdown_ends_the_worker_in_good_order(bench: RqBench) -> None:
    front = bench.worker()

    send_shutdown_command(bench.redis, bench.workers()[0].name)

    assert front.process.wait(30) == 0
    assert bench.workers() == []


def test_job_of_another_program_becomes_a_task(either: RqBench) -> None:
    either.worker()

    job = either.queue().enqueue("gristmill.rq.index_document", 101, 7, force=True)
    again = either.queue("documents").enqueue("gristmill.rq.ping", note="hello")

    (row,) = either.reaches(TaskState.FAILED, job.id)  # There is no document 101.
    (answered,) = either.reaches(TaskState.COMPLETED, again.id)
    assert (row.kind, row.payload, row.engine) == ("index_document", {"doc_id": 101, "user_id": 7, "force": True}, "rq")
    assert answered.result == {"note": "hello"}
    assert either.shows("failed", job.id)
    assert either.shows("finished", again.id)
    assert list(either.job(job.id).args) == [101, 7]


def test_job_that_depends_on_another_waits_for_its_task(bench: RqBench) -> None:
    front = bench.worker()
    first = bench.queue().enqueue("gristmill.rq.ping", note="first", seconds=0.3)
    then = bench.queue().enqueue("gristmill.rq.ping", note="then", depends_on=first)
    assert bench.status(then.id) == "deferred"

    rows = bench.reaches(TaskState.COMPLETED, first.id, then.id)

    assert rows[0].finished_at is not None
    assert rows[0].finished_at <= rows[1].created_at
    assert front.stop() == 0


@pytest.mark.parametrize(
    ("function", "args", "reason"),
    [
        ("os.system", ("touch hacked",), "unknown function"),
        ("gristmill.rq.nothing", (), "unknown function"),
        ("gristmill.rq.ping", (1, 2, 3), "too many arguments"),
        ("gristmill.rq.ping", ({"not": "text"},), "note"),
        ("gristmill.rq.index_document", (), "doc_id"),
    ],
)
def test_job_that_nobody_could_run_is_parked(
    bench: RqBench, function: str, args: tuple[object, ...], reason: str
) -> None:
    bench.worker()

    job = bench.queue().enqueue(function, *args)

    (row,) = bench.reaches(TaskState.FAILED, job.id)
    assert row.error is not None
    assert row.error.code == "message_unreadable"
    assert reason in row.error.message()
    assert bench.shows("failed", job.id)
    assert bench.listed()["taken"] == []


class Trap:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def test_pickle_is_parked_and_never_opened(bench: RqBench, tmp_path: Path) -> None:
    bench.worker()
    mark = tmp_path / "sprung"
    trap = pickle.dumps(Trap(mark))
    job = Job.create("gristmill.rq.ping", connection=bench.redis, serializer=JSONSerializer, origin="default")
    job.save()
    # Wherever a pickle may be: RQ packs the call itself, and leaves the others as they are.
    bench.redis.hset(job.key, mapping={"data": zlib.compress(trap), "meta": trap, "result": trap})
    bench.redis.rpush(bench.queue().key, job.id)

    (row,) = bench.reaches(TaskState.FAILED, job.id)

    assert row.error is not None
    assert row.error.code == "message_unreadable"
    assert not mark.exists()
    pickle.loads(trap)
    assert mark.exists()  # It was one.


@pytest.mark.parametrize(
    "stored",
    [
        {"data": b"\x00\xff garbage", "status": "queued"},
        {"data": zlib.compress(b"\x00\xff"), "created_at": "yesterday"},
        {"data": zlib.compress(b"[]"), "timeout": "soon"},
        {"data": zlib.compress(b'["gristmill.rq.ping", null, [], {}]'), "status": "no such status"},
        {"data": zlib.compress(b'["gristmill.rq.ping", null, [], {}]'), "meta": "[1]"},
        {"data": zlib.compress(b" " * 1_000_000) * 100},
        {"something": "else"},
    ],
)
def test_garbage_is_parked_and_holds_nobody_up(bench: RqBench, stored: dict[Any, Any]) -> None:
    bench.worker()
    bench.redis.hset(Job.key_for("odd"), mapping=stored)
    bench.redis.rpush(bench.queue().key, "odd", "\xff\x00 no id", "of-nobody")
    task = bench.ping()

    bench.reaches(TaskState.COMPLETED, task)
    (row,) = bench.reaches(TaskState.FAILED, "odd")

    assert row.error is not None
    assert row.error.code == "message_unreadable"
    assert eventually(lambda: bench.listed()["taken"] == [])
    assert len(bench.app.store.find(TaskFilter(kinds=["message"]), limit=10)) == 2


def test_every_kind_is_a_function_that_rq_finds() -> None:
    import gristmill.rq

    assert set(gristmill.rq.__all__) == set(KINDS)
    for kind in KINDS:
        function = getattr(gristmill.rq, kind)
        assert f"{function.__module__}.{function.__qualname__}" == f"gristmill.rq.{kind}"


def test_function_that_is_called_says_how_it_is_meant() -> None:
    with pytest.raises(Conflict) as refused:
        index_document(1)

    assert refused.value.code == "rq_called_directly"


def stock_worker(bench: RqBench, *, environment: dict[str, str]) -> str:
    """RQ's own worker, until the queue is empty; what it says."""
    command = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", bench.url]
    command += ["--serializer", "rq.serializers.JSONSerializer", "default"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=True)
    return done.stdout + done.stderr


def test_stock_worker_hands_a_job_over_and_waits_for_its_task(bench: RqBench) -> None:
    front = bench.worker()
    # From a queue that ours does not listen to, so that it is the stock worker that takes the job.
    command = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", bench.url]
    job = bench.queue("elsewhere").enqueue("gristmill.rq.ping", "by hand")
    command += ["--serializer", "rq.serializers.JSONSerializer", "elsewhere"]

    subprocess.run(command, env=bench.environment(), capture_output=True, timeout=50, check=True)

    (row,) = bench.reaches(TaskState.COMPLETED, job.id)
    assert row.result == {"note": "by hand"}
    assert bench.job(job.id).return_value() == {"task_id": job.id, "state": "completed"}
    assert front.stop() == 0


def test_stock_worker_that_knows_no_data_refuses_and_nothing_is_lost(bench: RqBench, tmp_path: Path) -> None:
    task = bench.ping()
    assert bench.shows("queued", task)
    nowhere = {name: value for name, value in bench.environment().items() if not name.startswith("GRISTMILL_")}

    told = stock_worker(bench, environment={**nowhere, "GRISTMILL_DATA": str(tmp_path / "nowhere")})

    assert "gristmill worker --engine rq" in told
    assert not (tmp_path / "nowhere").exists()
    assert bench.status(task) == "failed"
    bench.worker()
    bench.reaches(TaskState.COMPLETED, task)
    assert bench.shows("finished", task)
    assert bench.listed()["failed"] == []
