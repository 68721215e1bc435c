"""The everyday client of asynchronous document processing: submit, poll once in a while, read the result."""

from pathlib import Path
from typing import Any

import pytest

from gristmill.tasks.model import Completed, Retried, TaskError, TaskFilter
from tests.support.service import Service
from tests.support.tasks import new_worker
from tests.support.waiting import eventually

UPLOAD = "/documents/async/upload"
PROCESS = "/documents/async/process"


def polled(service: Service, task_id: str, query: str = "") -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        answer: dict[str, Any] = service.get(f"/documents/async/tasks/{task_id}{query}").json()
        return answer if answer["status"] in ("SUCCESS", "FAILURE") else None

    return eventually(look, seconds=40) or {}


def test_upload_is_split_and_read_back(mill: Service) -> None:
    text = "\n\n".join(f"Paragraph {number}: " + "the mill grinds slowly. " * 8 for number in range(12))

    accepted = mill.post(
        UPLOAD,
        files={"file": ("story.txt", text.encode())},
        data={"split": True, "chunk_size": 500, "chunk_overlap": 50},
    )

    assert accepted.status_code == 202
    assert accepted.json()["status"] == "PENDING"
    done = polled(mill, accepted.json()["task_id"])
    assert done["status"] == "SUCCESS"
    assert done["progress"] == 100
    assert done["error"] is None
    result = done["result"]
    assert result["status"] == "success"
    assert result["filename"] == "story.txt"
    assert result["document_count"] == len(result["documents"]) > 5
    assert all(set(document) == {"page_content", "metadata"} for document in result["documents"])
    assert result["documents"][0]["page_content"].startswith("Paragraph 0")


def test_long_result_is_read_page_by_page(mill: Service) -> None:
    text = "\n\n".join("A line of the ledger. " * 10 for _ in range(9))
    accepted = mill.post(UPLOAD, files={"file": ("a.txt", text.encode())}, data={"split": "on", "chunk_size": "250"})
    task_id = accepted.json()["task_id"]
    whole = polled(mill, task_id)["result"]["documents"]

    read = []
    offset: int | None = 0
    while offset is not None:
        page = polled(mill, task_id, f"?offset={offset}&limit=2")["result"]
        read += page["documents"]
        offset = page["next_offset"]

    assert read == whole


def test_path_under_a_root_is_processed(mill: Service, library: Path) -> None:
    accepted = mill.post(PROCESS, json={"source": str(library / "weir.md"), "split": False})

    result = polled(mill, accepted.json()["task_id"])["result"]

    assert result["filename"] == "weir.md"
    assert "The weir holds the water back." in result["documents"][0]["page_content"]


def test_failure_says_why_in_one_sentence(mill: Service) -> None:
    accepted = mill.post(PROCESS, data={"source": "http://127.0.0.1:9/secret"})

    failed = polled(mill, accepted.json()["task_id"])

    assert failed["status"] == "FAILURE"
    assert failed["result"] is None
    assert failed["error_code"] == "address_not_public"
    assert "127.0.0.1" in failed["error"]


@pytest.mark.parametrize("as_form", [True, False])
@pytest.mark.parametrize(
    ("sent", "meant"), [("True", True), ("true", True), ("1", True), ("on", True), (" False", False), ("0", False)]
)
def test_booleans_arrive_in_every_spelling(used: Service, sent: str, meant: bool, as_form: bool) -> None:  # noqa: FBT001
    body = {"source": "https://example.org/a.pdf", "split": sent}

    response = used.post(PROCESS, data=body) if as_form else used.post(PROCESS, json=body)

    task = used.app.tasks.get(response.json()["task_id"])
    assert task.payload["split"] is meant


def test_defaults_are_those_existing_clients_know(api: Service) -> None:
    api.post(PROCESS, data={"source": "https://example.org/a.pdf"})

    (task,) = api.app.tasks.find(TaskFilter())
    assert {key: task.payload[key] for key in ("split", "chunk_size", "chunk_overlap")} == {
        "split": False,
        "chunk_size": 1000,
        "chunk_overlap": 200,
    }


def test_small_chunks_alone_are_not_refused_for_the_default_overlap(api: Service) -> None:
    response = api.post(PROCESS, json={"source": "https://example.org/a.pdf", "split": 1, "chunk_size": 100})

    assert response.status_code == 202
    assert api.app.tasks.find(TaskFilter())[0].payload["chunk_overlap"] == 50


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"split": "maybe"}, "field_not_boolean", "split"),
        ({"chunk_size": "many"}, "field_not_whole_number", "chunk_size"),
        ({"chunk_size": "0"}, "field_out_of_range", "chunk_size"),
        ({"chunk_size": "100", "chunk_overlap": "90"}, "chunk_overlap_out_of_range", "chunk_overlap"),
        ({"chunk_overlap": "-1"}, "field_out_of_range", "chunk_overlap"),
        ({"priority": "10"}, "field_out_of_range", "priority"),
        ({"colour": "red"}, "field_unknown", "colour"),
    ],
)
def test_bad_option_is_refused_by_name(used: Service, fields: dict[str, str], code: str, field: str) -> None:
    before = used.app.tasks.counts()

    upload = used.post(UPLOAD, files={"file": ("a.txt", b"x")}, data=fields)
    process = used.post(PROCESS, data={"source": "https://example.org/a", **fields})

    for response in (upload, process):
        assert response.status_code == 422
        assert response.json()["code"] == code
        assert response.json()["field"] == field
    assert used.app.tasks.counts() == before


def test_states_are_named_as_celery_names_them(api: Service) -> None:
    task_id = api.post(PROCESS, json={"source": "https://example.org/a.pdf"}).json()["task_id"]
    store = api.app.store
    store.register_worker(new_worker())

    def status() -> str:
        return str(api.get(f"/documents/async/tasks/{task_id}").json()["status"])

    assert status() == "PENDING"
    (task,) = store.claim("worker-1", queues=["documents"], kinds=["process_document"])
    assert status() == "STARTED"
    store.finish(task_id, task.lease, Retried(error=TaskError(code="url_unreachable"), delay_seconds=60))
    assert status() == "RETRY"
    api.post(f"/api/tasks/{task_id}/cancel")
    assert status() == "REVOKED"


def test_expired_result_says_that_it_is_gone(api: Service) -> None:
    task_id = api.post(PROCESS, json={"source": "https://example.org/a.pdf"}).json()["task_id"]
    store = api.app.store
    store.register_worker(new_worker())
    (task,) = store.claim("worker-1", queues=["documents"], kinds=["process_document"])
    result = {"status": "success", "filename": "a.pdf", "document_count": 1}
    store.finish(task_id, task.lease, Completed(result=result, items=[{"page_content": "x", "metadata": {}}]))
    with api.app.database.write() as tx:
        tx.exec_driver_sql("UPDATE tasks SET items_expire_at = 1")

    store.purge_items()

    answer = api.get(f"/documents/async/tasks/{task_id}").json()["result"]
    assert answer["documents"] == []
    assert answer["document_count"] == 1
    assert "gone" in answer["message"]


def test_same_upload_under_one_key_is_one_task_and_another_file_is_refused(api: Service) -> None:
    headers = {"Idempotency-Key": "k"}

    first = api.post(UPLOAD, files={"file": ("a.txt", b"one")}, headers=headers)
    again = api.post(UPLOAD, files={"file": ("a.txt", b"one")}, headers=headers)
    other = api.post(UPLOAD, files={"file": ("a.txt", b"two")}, headers=headers)

    assert again.json() == first.json()
    assert other.status_code == 409


def test_task_of_another_kind_is_not_shown_as_processing(api: Service) -> None:
    task = api.app.tasks.submit("ping", {})

    assert api.get(f"/documents/async/tasks/{task.id}").status_code == 404
