"""One hostile file among many: it fails, alone and with its reason; the rest is indexed, and it alone is tried again."""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gristmill.tasks.model import TaskState
from tests.integration.worker.conftest import Mill
from tests.material.office import docx_file
from tests.material.pdf import pdf
from tests.support.history import what_broke
from tests.support.service import Service, serving
from tests.support.waiting import eventually

GOOD_FOR_EACH = 100


def bomb() -> bytes:
    """An archive that is a thousand times as large as it looks."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"0" * 50_000_000)
        archive.writestr("word/document.xml", b"<" * 50_000_000)
    return buffer.getvalue()


HOSTILE: Mapping[str, Callable[[], bytes]] = {
    "bomb.docx": bomb,
    "cut.pdf": lambda: b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R",
    "noise.txt": lambda: bytes(range(256)) * 50,
}
"""Each of them fails."""
MADE_GOOD: Mapping[str, Callable[[], bytes]] = {
    "bomb.docx": lambda: docx_file("Made good", "Nothing bursts."),
    "cut.pdf": lambda: pdf(["Made good", "Nothing is missing."]),
    "noise.txt": lambda: b"Made good. Every word can be read.",
}


def fill(folder: Path) -> list[str]:
    """Write the hostile files and a hundred good ones for each; all paths, mixed."""
    folder.mkdir()
    for name, content in HOSTILE.items():
        (folder / name).write_bytes(content())
    for number in range(GOOD_FOR_EACH * len(HOSTILE)):
        (folder / f"good-{number}.txt").write_text(f"Sack {number} holds rye of the year {1900 + number}.", "utf-8")
    return sorted(str(path) for path in folder.iterdir())


def indexed(service: Service, ids: list[int]) -> dict[str, dict[str, Any]]:
    """Index the documents in one request; what became of each, by its name."""
    task_id = service.data(service.post("/api/index/index-documents", json={"doc_ids": ids}))["task_id"]
    batch = eventually(lambda: _final(service, task_id), 150)
    assert batch["state"] == "completed"
    answer = service.data(service.get(f"/api/tasks/{task_id}/result?limit=1000"))
    return {item["name"]: {**item, "batch": task_id} for item in answer["items"]}


def _final(service: Service, task_id: str) -> dict[str, Any] | None:
    task: dict[str, Any] = service.data(service.get(f"/api/tasks/{task_id}"))
    return task if TaskState(task["state"]).is_final else None


def _runs(history: Sequence[str]) -> int:
    """How often a task was run: what was claimed along with a long one is given back before it begins."""
    return history.count("claimed") - history.count("released")


def children_of(service: Service, task_id: str, state: str) -> list[dict[str, str]]:
    data = service.data(service.get("/api/tasks", params={"parent_id": task_id, "state": state, "limit": 500}))
    tasks: list[dict[str, str]] = data["tasks"]
    return tasks


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hostile_files_fail_alone_and_only_they_are_tried_again(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(workers={"memory_limit_mb": 1024})
    folder = mill.folder / "files"
    paths = fill(folder)
    mill.start(concurrency=2)
    with serving(mill.app.settings.data, {"sources": {"roots": [folder]}, **mill.database}) as service:
        documents = service.data(service.post("/api/documents", json={"paths": paths, "collection": "books"}))
        ids = [document["id"] for document in documents["documents"]]

        first = indexed(service, ids)

        status = {name: item["status"] for name, item in first.items()}
        batch = first["cut.pdf"]["batch"]
        assert {name for name, how in status.items() if how == "failed"} == set(HOSTILE)
        assert all(first[name]["error"]["code"] and first[name]["error"]["message"] for name in HOSTILE)
        assert sum(how == "completed" for how in status.values()) == GOOD_FOR_EACH * len(HOSTILE)

        # Retried as they are: exactly the failed ones run again, and fail again with the same reason.
        failed = children_of(service, batch, "failed")
        retried = service.data(service.post("/api/tasks/retry", json={"parent_id": batch, "state": "failed"}))
        assert retried["count"] == len(failed) == len(HOSTILE)
        again = eventually(lambda: _as_many(children_of(service, batch, "failed"), len(HOSTILE)), 60)
        assert {task["id"] for task in again} == {task["id"] for task in failed}
        runs = {task.id: _runs(mill.history(task)) for task in mill.app.store.get_many(_ids(service, batch))}
        assert {runs[task["id"]] for task in failed} == {2}
        assert {runs[task_id] for task_id in set(runs) - {task["id"] for task in failed}} == {1}

        # Made good: only they are indexed, everything else is skipped.
        for name in HOSTILE:
            (folder / name).write_bytes(MADE_GOOD[name]())
        second = indexed(service, ids)

        done = {name for name, item in second.items() if item["status"] == "completed"}
        skipped = {name for name, item in second.items() if item["status"] == "skipped"}
        assert (done | skipped, skipped & set(HOSTILE)) == (set(first), set())
        assert done == set(HOSTILE)
        assert what_broke(mill.app.store, [batch, *_ids(service, batch)]) == []


def _as_many(tasks: list[dict[str, str]], count: int) -> list[dict[str, str]] | None:
    return tasks if len(tasks) == count else None


def _ids(service: Service, task_id: str) -> list[str]:
    """The ids of all children, page by page."""
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = service.data(service.get(f"/api/tasks/{task_id}/children", params={"limit": 500, "cursor": cursor}))
        ids += [task["id"] for task in page["tasks"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return ids
