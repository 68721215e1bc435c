"""One hostile file among many: it fails, alone and with its reason; the rest is indexed."""

import io
import zipfile
from collections.abc import Callable

from gristmill.tasks.model import TaskState
from tests.integration.worker.conftest import Mill

GOOD = 40


def bomb() -> bytes:
    """An archive that is a thousand times as large as it looks."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"0" * 50_000_000)
        archive.writestr("word/document.xml", b"<" * 50_000_000)
    return buffer.getvalue()


def test_hostile_files_fail_alone_and_only_they_are_tried_again(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(workers={"memory_limit_mb": 1024})
    folder = mill.folder / "files"
    folder.mkdir()
    hostile = {
        "bomb.docx": bomb(),
        "cut.pdf": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R",
        "deep.json": b"[" * 200_000,
        "noise.bin": bytes(range(256)) * 50,
    }
    for name, content in hostile.items():
        (folder / name).write_bytes(content)
    for number in range(GOOD):
        (folder / f"good-{number}.txt").write_text(f"Sack {number} holds rye of the year {1900 + number}.", "utf-8")
    paths = [(str(path), str(folder)) for path in sorted(folder.iterdir())]
    documents = mill.app.documents.register_local(paths, collection="books")
    ids = [document.id for document in documents]
    mill.start(concurrency=2)

    first = mill.ended(mill.app.documents.index(ids), 50)

    items = {item["name"]: item for item in mill.app.store.items(first.id)}
    failed = {name for name, item in items.items() if item["status"] == "failed"}
    assert first.state is TaskState.COMPLETED
    assert failed
    assert failed <= set(hostile), [items[name]["error"] for name in failed - set(hostile)]
    assert all(items[name]["error"]["code"] for name in failed)
    assert all(items[f"good-{number}.txt"]["status"] == "completed" for number in range(GOOD))
    for name in failed:
        (folder / name).unlink()
        (folder / name).write_text("Made good.", "utf-8")

    again = mill.ended(mill.app.documents.index(ids), 50)

    done = {item["name"] for item in mill.app.store.items(again.id) if item["status"] == "completed"}
    assert done <= failed
    assert {item["name"] for item in mill.app.store.items(again.id) if item["status"] == "skipped"} >= set(
        items
    ) - failed
