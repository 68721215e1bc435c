"""Celery workers: what they receive, from us and from strangers, and what Celery's tools see of it."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from gristmill.tasks.model import TaskState
from tests.support.celery_bench import LONG_SECONDS, CeleryBench, celery_bench, is_alive
from tests.support.valkey import own_server
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(120)

HOST = "celery@test"


def inspected(bench: CeleryBench, name: str) -> Any:
    """What ``celery inspect NAME`` answers for the one worker there is."""
    inspect = bench.stranger().control.inspect(timeout=5, limit=1)
    return eventually(getattr(inspect, name), seconds=30)[HOST]


def test_tasks_run_once_and_their_messages_are_acknowledged(either: CeleryBench) -> None:
    tasks = [either.ping() for _ in range(20)]
    either.worker()
    tasks += [either.ping() for _ in range(20)]

    either.ran_once(*tasks)

    assert eventually(lambda: either.in_broker() == 0)


def test_workers_started_by_either_command_share_the_work(bench: CeleryBench) -> None:
    bench.worker()
    bench.worker(ours=True)
    blocked = [bench.ping(LONG_SECONDS) for _ in range(2)]

    found = bench.reaches(TaskState.PROCESSING, *blocked)

    assert len({task.worker_id for task in found}) == 2
    assert len({worker.name for worker in bench.app.store.workers()}) == 2


def test_worker_for_some_queues_leaves_the_others_alone(bench: CeleryBench) -> None:
    bench.worker("-Q", "documents", "-c", "2", "-n", HOST)
    other = bench.ping()
    task = bench.app.tasks.submit("index_document", {"doc_id": 404})

    bench.reaches(TaskState.FAILED, task)

    assert bench.app.store.get(other.id).state is TaskState.PENDING
    (worker,) = bench.app.store.workers()
    assert (worker.name, worker.queues, worker.slots, worker.engine) == (HOST, ("documents",), 2, "celery")


def test_urgent_task_overtakes_those_that_were_announced_before(bench: CeleryBench) -> None:
    tasks = [bench.ping() for _ in range(10)]
    urgent = bench.python("answer = ping_task.apply_async(priority=9).id")

    bench.worker()
    bench.ran_once(*tasks)

    (first,) = bench.reaches(TaskState.COMPLETED, urgent)
    assert all((first.started_at or 0) <= (bench.app.store.get(task.id).started_at or 0) for task in tasks)


def test_call_from_a_stranger_becomes_a_task(either: CeleryBench) -> None:
    either.worker()

    sent = either.stranger().send_task("index_document_task", (404,), {"user_id": 7}, queue="documents", priority=8)

    (task,) = either.reaches(TaskState.FAILED, sent.id)
    assert (task.kind, task.payload, task.priority) == ("index_document", {"doc_id": 404, "user_id": 7}, 8)
    assert task.error is not None
    assert task.error.code == "document_not_found"
    assert eventually(lambda: either.in_broker() == 0)


def test_call_delivered_twice_becomes_one_task(bench: CeleryBench) -> None:
    stranger = bench.stranger()
    for _ in range(3):
        stranger.send_task("ping_task", queue="default", task_id="twice")

    bench.worker()

    bench.reaches(TaskState.COMPLETED, "twice")
    assert eventually(lambda: bench.in_broker() == 0)
    assert bench.happened("twice", "claimed") == 1


def test_message_that_nobody_can_read_is_parked(bench: CeleryBench) -> None:
    bench.worker()
    stranger = bench.stranger()
    unknown = stranger.send_task("delete_everything", ("now",), queue="default").id
    strange = stranger.send_task("ping_task", ("a", "b", "c"), queue="default").id
    late = stranger.send_task("ping_task", queue="default", expires=60).id
    with Connection(bench.url) as connection:
        connection.Producer().publish({"no": "task"}, routing_key="default")
        connection.Producer().publish("x", routing_key="default", content_type="application/x-python-serialize")
        connection.Producer().publish({}, routing_key="default", headers={"task": ["ping_task"], "id": {}})
    garbage = [
        b"",
        b"garbage",
        b"\xff\xfe",
        b'{"a": 1}',
        b"[]",
        b"null",
        b"[" * 100_000,
        json.dumps({"body": 1}).encode(),
    ]
    bench.redis.lpush("default", *garbage)

    def parked() -> bool:
        counts = bench.app.tasks.counts()
        return counts.get(TaskState.FAILED, 0) == 6 + len(garbage) and len(counts) == 1

    assert eventually(parked, seconds=30), bench.logs()
    for task in bench.app.store.get_many([unknown, strange, late]):
        assert task.error is not None
        assert task.error.code == "message_unreadable"
    # And it lives on.
    bench.ran_once(bench.ping())
    assert eventually(lambda: bench.in_broker() == 0)


def test_inspect_answers_from_rows(bench: CeleryBench) -> None:
    bench.worker("-c", "1", "-n", HOST)
    running = bench.ping(LONG_SECONDS)
    bench.reaches(TaskState.PROCESSING, running)
    waiting = bench.app.tasks.submit("index_document", {"doc_id": 5, "user_id": 1})
    later = bench.app.tasks.submit("ping", {"note": "secret"}, delay_seconds=3600)
    stopped = bench.app.tasks.submit("ping", {}, delay_seconds=3600)
    bench.app.tasks.cancel_one(stopped.id)

    assert eventually(lambda: [one["id"] for one in inspected(bench, "reserved")] == [waiting.id])
    assert inspected(bench, "ping") == {"ok": "pong"}
    (active,) = inspected(bench, "active")
    assert (active["id"], active["name"], active["kwargs"]) == (running.id, "ping_task", "{'seconds': 60.0}")
    (scheduled,) = inspected(bench, "scheduled")
    assert (scheduled["request"]["id"], scheduled["request"]["kwargs"]) == (later.id, "{}")
    assert inspected(bench, "revoked") == [stopped.id]
    assert "index_document_task" in inspected(bench, "registered")
    stats = inspected(bench, "stats")
    assert (stats["pool"]["max-concurrency"], len(stats["pool"]["processes"])) == (1, 1)
    assert stats["total"] == {"ping_task": 1}
    assert inspected(bench, "conf")["accept_content"] == ["json"]
    found = bench.stranger().control.inspect(timeout=5, limit=1).query_task(waiting.id, running.id)[HOST]
    assert {task_id: place for task_id, (place, _) in found.items()} == {waiting.id: "reserved", running.id: "active"}


def test_password_of_the_broker_is_not_told_to_who_inspects(tmp_path: Path) -> None:
    with (
        own_server(tmp_path / "valkey", password="swordfish") as server,
        celery_bench(tmp_path, server.url()) as bench,
    ):
        bench.worker("-n", HOST)

        assert "swordfish" not in str([inspected(bench, name) for name in ("conf", "stats", "report")])


@pytest.mark.parametrize("terminate", [False, True])
def test_revoke_sent_by_a_stranger_cancels_the_row(either: CeleryBench, *, terminate: bool) -> None:
    either.worker()
    running = either.ping(LONG_SECONDS)
    waiting = either.ping()
    either.reaches(TaskState.PROCESSING, running)

    either.stranger().control.revoke([running.id, waiting.id], terminate=terminate)

    either.reaches(TaskState.CANCELLED, running, waiting, seconds=15)
    assert either.happened(waiting, "claimed") == 0


def test_control_that_would_mislead_is_refused(bench: CeleryBench) -> None:
    bench.worker("-n", HOST)
    control = bench.stranger().control
    # It is known before it hears what is said to all, and that is not said twice.
    eventually(lambda: control.inspect(timeout=2, limit=1).ping(), 40)

    answers = [
        control.rate_limit("ping_task", "1/s", reply=True, timeout=30, limit=1),
        control.time_limit("ping_task", 3, 4, reply=True, timeout=30, limit=1),
        control.pool_grow(1, reply=True, timeout=30, limit=1),
        control.pool_shrink(1, reply=True, timeout=30, limit=1),
        control.add_consumer("images", reply=True, timeout=30, limit=1),
        control.cancel_consumer("images", reply=True, timeout=30, limit=1),
    ]

    assert [list(answer[HOST]) for (answer,) in answers] == [["error"]] * 6
    bench.ran_once(bench.ping())


def test_warm_shutdown_gives_back_what_does_not_end_in_time(bench: CeleryBench) -> None:
    front = bench.worker()
    task = bench.ping(LONG_SECONDS)
    waiting = bench.ping()
    bench.reaches(TaskState.PROCESSING, task)
    assert eventually(lambda: bench.in_broker() == 1)

    status = front.stop()

    assert status == 0
    assert not any(is_alive(member) for member in front.members)
    assert [bench.app.store.get(one.id).state for one in (task, waiting)] == [TaskState.PENDING] * 2
    assert bench.app.store.get(task.id).crash_count == 0
    assert bench.app.store.workers() == []
    # The message that it held is there for another.
    assert bench.redis.hlen("unacked") == 0
    assert bench.redis.llen("default") == 1


def test_cold_shutdown_gives_everything_back_at_once(bench: CeleryBench) -> None:
    bench.drain_seconds = 3600
    front = bench.worker()
    task = bench.ping(LONG_SECONDS)
    bench.reaches(TaskState.PROCESSING, task)

    front.stop(signal.SIGQUIT)

    assert not any(is_alive(member) for member in front.members)
    assert bench.app.store.get(task.id).state is TaskState.PENDING
    assert bench.app.store.get(task.id).crash_count == 0


def test_pool_of_somebody_else_is_refused(bench: CeleryBench) -> None:
    worker = bench.start("celery", "--app", "gristmill.celery", "worker", "--pool", "solo")

    assert worker.wait(30) != 0
    assert "leave out --pool" in bench.logs()
