"""People who look with RQ's own tools see our tasks: by name, in their states, with who runs them."""

import json
import subprocess
import sys

import pytest
from rq.executions import Execution
from rq.results import Result

from gristmill.engines.broker import BrokerEngine
from gristmill.tasks.model import TaskState
from tests.support.rq_bench import LONG_SECONDS, RqBench

SECRET = "correct horse battery staple"


def test_job_has_the_name_of_its_kind_and_none_of_its_payload(bench: RqBench) -> None:
    task = bench.app.tasks.submit("ping", {"note": SECRET})
    rq = bench.app.engines.members["rq"]
    assert isinstance(rq, BrokerEngine)
    rq.flush()

    job = bench.job(task)

    assert (job.func_name, job.origin, job.description) == ("gristmill.rq.ping", "default", f"ping {task.id}")
    assert (job.timeout, job.result_ttl, job.failure_ttl, job.retries_left) == (600, 86_400, 604_800, 3)
    assert (list(job.args), job.kwargs) == ([], {})
    assert SECRET.encode() not in b"".join(bench.redis.dump(key) or b"" for key in bench.redis.scan_iter())


def test_task_that_ran_is_listed_as_finished_and_nowhere_else(either: RqBench) -> None:
    front = either.worker()

    task = either.ping()

    assert either.shows("finished", task)
    listed = either.listed()
    assert {name for name, ids in listed.items() if ids} == {"finished"}
    job = either.job(task)
    result = job.latest_result()
    assert isinstance(result, Result)
    assert result.return_value == {"task_id": task.id, "state": "completed", "done": 0, "failed": 0, "skipped": 0}
    (row,) = either.reaches(TaskState.COMPLETED, task)
    assert job.started_at is not None
    assert job.ended_at is not None
    assert row.started_at == round(job.started_at.timestamp() * 1e6)
    assert row.finished_at == round(job.ended_at.timestamp() * 1e6)
    assert front.stop() == 0


def test_worker_is_listed_once_for_each_queue_and_gone_after_it_ended(bench: RqBench) -> None:
    front = bench.worker()

    workers = bench.workers()

    assert sorted(worker.queue_names() for worker in workers) == [
        [name] for name in sorted(bench.app.settings.workers.queues)
    ]
    assert {worker.pid for worker in workers} == {front.process.pid}
    assert {worker.get_state() for worker in workers} == {"idle"}
    assert front.stop() == 0
    assert bench.workers() == []


def test_running_task_is_listed_as_started_by_a_busy_worker(bench: RqBench) -> None:
    bench.worker()

    task = bench.ping(LONG_SECONDS)

    assert bench.shows("started", task)
    assert bench.listed()["started"] == [task.id]
    assert bench.listed()["taken"] == []
    ((_, execution),) = bench.queue().started_job_registry.get_job_and_execution_ids(cleanup=False)
    assert Execution.fetch(execution, job_id=task.id, connection=bench.redis).job_id == task.id
    name = bench.job(task).worker_name
    assert name in {worker.name for worker in bench.workers() if worker.queue_names() == ["default"]}


def test_failed_task_says_why_without_a_traceback(bench: RqBench) -> None:
    bench.worker()

    task = bench.app.tasks.submit("index_document", {"doc_id": 12345})

    assert bench.shows("failed", task)
    assert bench.listed("documents")["failed"] == [task.id]
    result = bench.job(task).latest_result()
    assert isinstance(result, Result)
    (row,) = bench.reaches(TaskState.FAILED, task)
    assert row.error is not None
    assert result.exc_string == f"{row.error.code}: {row.error.message()}"
    assert "Traceback" not in result.exc_string


def test_task_that_is_cancelled_is_listed_as_cancelled(bench: RqBench) -> None:
    bench.worker()
    task = bench.ping(LONG_SECONDS)
    assert bench.shows("started", task)

    bench.app.tasks.cancel_one(task.id)

    assert bench.shows("canceled", task)
    assert {name for name, ids in bench.listed().items() if ids} == {"canceled"}


def test_task_that_waits_at_the_end_of_its_worker_is_queued_again(bench: RqBench) -> None:
    front = bench.worker()
    running, waiting = bench.ping(LONG_SECONDS), bench.ping()
    assert bench.shows("started", running)

    assert front.stop() == 0

    assert set(bench.listed()["queued"]) == {running.id, waiting.id}
    assert bench.shows("queued", running, waiting)
    assert bench.listed()["started"] == bench.listed()["taken"] == []


def test_task_of_another_engine_is_nothing_to_rq(bench: RqBench) -> None:
    task = bench.ping()
    rq = bench.app.engines.members["rq"]
    assert isinstance(rq, BrokerEngine)
    rq.flush()
    bench.app.store.reassign("rq", lambda _: "local", limit=10)

    bench.worker()

    bench.reaches(TaskState.COMPLETED, task)
    assert not any(ids for ids in bench.listed().values())
    assert not list(bench.redis.scan_iter("rq:job:*"))


def test_rq_info_lists_queues_and_workers(bench: RqBench) -> None:
    bench.worker()
    task = bench.ping()
    assert bench.shows("finished", task)

    info = [sys.executable, "-m", "rq.cli", "info", "--url", bench.url, "--raw"]
    told = subprocess.run(info, env=bench.environment(), capture_output=True, text=True, timeout=30, check=True).stdout

    assert "queue default" in told
    assert "worker gristmill-" in told


def test_rq_dashboard_shows_queues_jobs_and_workers(bench: RqBench) -> None:
    pytest.importorskip("rq_dashboard")
    bench.worker()
    done, failed = bench.ping(), bench.app.tasks.submit("index_document", {"doc_id": 12345})
    assert bench.shows("finished", done)
    assert bench.shows("failed", failed)
    running = bench.ping(LONG_SECONDS)
    assert bench.shows("started", running)

    program = (
        "import json, sys; from rq_dashboard.app import create_app; client = create_app().test_client();"
        "print(json.dumps([client.get('/rq-dashboard/0' + path).json for path in sys.argv[1:]]))"
    )
    pages = [
        "/data/queues.json",
        "/data/workers.json",
        *(f"/data/jobs/{path}/10/asc/1.json" for path in ("default/finished", "documents/failed", "default/started")),
    ]
    environment = {
        **bench.environment(),
        "RQ_DASHBOARD_REDIS_URL": bench.url,
        "RQ_DASHBOARD_JSON_SERIALIZER": "true",
    }
    told = subprocess.run(
        [sys.executable, "-c", program, *pages], env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    queues, workers, finished, failures, started = json.loads(told.stdout)

    assert {queue["name"] for queue in queues["queues"]} == {"default", "documents"}
    assert {name for worker in workers["workers"] for name in worker["queues"]} == set(
        bench.app.settings.workers.queues
    )
    assert [job["description"] for job in finished["jobs"]] == [f"ping {done.id}"]
    assert [job["description"] for job in started["jobs"]] == [f"ping {running.id}"]
    (job,) = failures["jobs"]
    assert job["description"] == f"index_document {failed.id}"
    (row,) = bench.reaches(TaskState.FAILED, failed)
    assert row.error is not None
    assert row.error.code in job["exc_info"]
