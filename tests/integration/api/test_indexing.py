"""Registered documents are indexed by id: few at once, many in the background."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from gristmill.api.app import WAITING_SEATS
from gristmill.tasks.model import Cancelled, Completed, Progress, TaskFilter
from tests.support.service import Service, serving
from tests.support.tasks import new_worker

INDEX = "/api/index/index-documents"


def test_few_documents_are_answered_when_done(mill: Service) -> None:
    ids = mill.register("The wheel turns.", "The stones grind.", "水车转动磨盘。", collection="few")

    response = mill.post(INDEX, json={"doc_ids": ids})

    answer = response.json()
    assert response.status_code == 200
    assert answer["success"] is True
    assert answer["message"] == "Indexed: 3 ok, 0 failed"
    assert {key: answer["data"][key] for key in ("total", "success", "failed", "mode")} == {
        "total": 3,
        "success": 3,
        "failed": 0,
        "mode": "sync",
    }
    details = answer["data"]["details"]
    assert [detail["doc_id"] for detail in details] == ids
    assert {detail["status"] for detail in details} == {"completed"}
    assert all(detail["chunks"] == 1 and detail["reused"] == 0 for detail in details)


def test_many_documents_are_queued_and_followed_to_their_end(mill: Service) -> None:
    ids = mill.register(*(f"Sack number {number}." for number in range(5)), collection="many")

    response = mill.post(INDEX, json={"doc_ids": ids, "force": False, "priority": 5})

    answer = response.json()
    task_id = answer["data"]["task_id"]
    assert response.status_code == 202
    assert answer == {
        "success": True,
        "message": "Queued 5 documents",
        "data": {"task_id": task_id, "doc_ids": ids, "status": "queued", "mode": "local"},
    }
    mill.ended(task_id)
    status = mill.data(mill.get(f"/api/index/task/{task_id}"))
    assert {key: status[key] for key in ("task_id", "task_type", "status", "priority", "progress", "celery_state")} == {
        "task_id": task_id,
        "task_type": "batch",
        "status": "completed",
        "priority": 5,
        "progress": 100,
        "celery_state": "SUCCESS",
    }
    assert status["celery_result"] == {"progress": 100, "current": 5, "total": 5, "status": "Completed"}


def test_unchanged_documents_are_skipped_unless_forced(mill: Service) -> None:
    ids = mill.register("The hopper is full.", collection="same")
    mill.post(INDEX, json={"doc_ids": ids})

    again = mill.data(mill.post(INDEX, json={"doc_ids": ids}))
    forced = mill.data(mill.post(INDEX, json={"doc_ids": ids, "force": "true"}))

    assert [detail["status"] for detail in again["details"]] == ["skipped"]
    assert [detail["status"] for detail in forced["details"]] == ["completed"]


def test_a_document_that_does_not_exist_fails_alone_and_says_why(mill: Service) -> None:
    ids = mill.register("The damsel shakes.", collection="one-bad")

    answer = mill.post(INDEX, json={"doc_ids": [*ids, 999_999]}).json()

    failed = answer["data"]["details"][1]
    assert answer["message"] == "Indexed: 1 ok, 1 failed"
    assert failed["doc_id"] == 999_999
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "document_not_found"
    assert "999999" in failed["error"]["message"]


def test_ids_named_twice_count_once(api: Service) -> None:
    ids = api.register("a", "b")

    answer = api.post(INDEX, json={"doc_ids": [*ids, *ids, *ids]}).json()

    assert answer["data"]["doc_ids"] == ids


def test_the_answer_is_the_queued_one_when_the_wait_is_over(api: Service) -> None:
    ids = api.register("a")

    response = api.post(INDEX, json={"doc_ids": ids})

    assert response.status_code == 202
    assert response.json()["message"] == "Queued 1 documents"
    assert response.json()["data"]["status"] == "queued"


def test_only_so_many_requests_wait_and_the_others_are_answered_at_once(tmp_path: Path) -> None:
    with serving(tmp_path / "data", {"index": {"sync_wait_seconds": 2.0}}) as api:
        ids = api.register("a")
        seconds: list[float] = []

        def index() -> None:
            began = time.monotonic()
            response = Service(api.app, int(api.url.rpartition(":")[2]))
            with response.session:
                assert response.post(INDEX, json={"doc_ids": ids}).status_code == 202
            seconds.append(time.monotonic() - began)

        threads = [threading.Thread(target=index) for _ in range(WAITING_SEATS + 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sum(taken < 1.9 for taken in seconds) == 4


def test_a_task_cancelled_during_the_wait_is_a_conflict(tmp_path: Path) -> None:
    with serving(tmp_path / "data", {"index": {"sync_wait_seconds": 20.0}}) as api:
        ids = api.register("a")
        stop = threading.Timer(0.2, lambda: api.app.tasks.cancel(TaskFilter()))
        stop.start()

        response = api.post(INDEX, json={"doc_ids": ids})

        stop.join()
    assert response.status_code == 409
    assert response.json()["code"] == "task_was_cancelled"


def test_status_of_a_task_follows_its_progress_in_the_words_of_celery(api: Service) -> None:
    ids = api.register("a", "b", "c", "d", "e")
    task_id = api.post(INDEX, json={"doc_ids": ids}).json()["data"]["task_id"]
    store = api.app.store

    def status() -> tuple[str, str, int, str]:
        data = api.data(api.get(f"/api/index/task/{task_id}"))
        return data["status"], data["celery_state"], data["progress"], data["celery_result"]["status"]

    assert status() == ("pending", "PENDING", 0, "Waiting for a worker")
    store.register_worker(new_worker())
    (task,) = store.claim("worker-1", queues=["documents"], kinds=["batch_index"])
    assert status() == ("processing", "STARTED", 0, "Started")
    store.progress(task_id, task.lease, Progress(stage="index", done=2, failed=1, total=5))
    assert status() == ("processing", "PROGRESS", 60, "Processing 3/5")
    store.finish(task_id, task.lease, Cancelled())
    assert status() == ("cancelled", "REVOKED", 60, "Cancelled")


def test_status_of_a_task_that_does_not_exist_is_not_found(api: Service) -> None:
    response = api.get("/api/index/task/none")

    assert response.status_code == 404
    assert response.json()["code"] == "task_not_found"


@pytest.mark.parametrize("same", [True, False])
def test_idempotency_key_repeats_the_task_or_refuses_another_request(api: Service, same: bool) -> None:  # noqa: FBT001
    ids = api.register("a", "b", "c", "d", "e")
    headers = {"Idempotency-Key": "order 66"}
    first = api.post(INDEX, json={"doc_ids": ids}, headers=headers)

    second = api.post(INDEX, json={"doc_ids": ids, "force": not same}, headers=headers)

    if same:
        assert second.json() == first.json()
    else:
        assert second.status_code == 409
        assert second.json()["code"] == "idempotency_key_reused"
        assert second.json()["key"] == "order 66"
        assert second.json()["task_id"] == first.json()["data"]["task_id"]
    assert len(api.app.tasks.find(TaskFilter())) == 1


def test_a_repeated_request_is_answered_with_the_result_of_the_first(api: Service) -> None:
    ids = api.register("a")
    headers = {"Idempotency-Key": "once"}
    task_id = api.post(INDEX, json={"doc_ids": ids}, headers=headers).json()["data"]["task_id"]
    api.app.store.register_worker(new_worker())
    (task,) = api.app.store.claim("worker-1", queues=["documents"], kinds=["batch_index"])
    result = {"total": 1, "success": 1, "failed": 0, "skipped": 0}
    items = [{"doc_id": ids[0], "status": "completed", "chunks": 1}]
    api.app.store.finish(task_id, task.lease, Completed(result=result, items=items))

    response = api.post(INDEX, json={"doc_ids": ids}, headers=headers)

    assert response.status_code == 200
    assert response.json()["data"] == {**result, "details": items, "task_id": task_id, "mode": "sync"}


def test_one_request_sent_many_times_at_once_is_one_task(api: Service) -> None:
    ids = api.register("a", "b", "c", "d", "e")
    url, headers = api.url + INDEX, {"Idempotency-Key": "impatient"}

    def submit(_attempt: int) -> str:
        with requests.post(url, json={"doc_ids": ids}, headers=headers, timeout=30) as response:
            return str(response.json()["data"]["task_id"])

    with ThreadPoolExecutor(20) as pool:
        answered = set(pool.map(submit, range(60)))

    assert answered == {task.id for task in api.app.tasks.find(TaskFilter())}
    assert len(answered) == 1
