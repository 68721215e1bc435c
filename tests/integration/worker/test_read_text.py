"""Pages that are only scanned are indexed as they are, and read afterwards: then their text is found."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from gristmill.tasks.model import Task, TaskFilter, TaskState
from tests.integration.worker.test_pipelines import Works
from tests.support.postgres import fresh_database


def scan(*pages: str) -> bytes:
    """A PDF whose pages are pictures of these words."""
    pictures = []
    for words in pages:
        picture = Image.new("RGB", (1240, 700), "white")
        ImageDraw.Draw(picture).text((80, 200), words, fill="black", font=ImageFont.load_default(72))
        pictures.append(picture)
    file = io.BytesIO()
    pictures[0].save(file, "PDF", resolution=150, save_all=True, append_images=pictures[1:])
    return file.getvalue()


@pytest.fixture(params=["sqlite", "postgres"])
def works(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Works]:
    works = Works(tmp_path, database={"url": fresh_database()} if request.param == "postgres" else {})
    yield works
    works.app.close()


def reading(works: Works) -> list[Task]:
    return works.app.tasks.find(TaskFilter(kinds=["read_text"]), limit=10)


def test_scanned_pages_are_read_after_they_were_indexed(works: Works) -> None:
    (document,) = works.register(works.write("receipt.pdf", scan("Received forty sacks", "of Thornley rye")))
    works.index(document)
    (task,) = reading(works)
    before = works.app.index.document(document.id).version

    ended = works.finish(task)

    assert ended.result == {"with_text": 1, "without": 0, "failed": 0}
    (hit,) = works.app.searcher.search("Thornley rye", collection="books").hits
    assert (hit.document_id, hit.place.page) == (document.id, 1)
    assert "forty sacks" in hit.text
    assert before is not None
    assert before.chunk_count == 0
    # What was read is not undone by looking at the same file again.
    works.index(document)
    assert works.app.searcher.search("forty sacks", collection="books").hits
    assert len(reading(works)) == 1


def test_pages_with_text_are_not_read_again(works: Works) -> None:
    (document,) = works.register(works.write("notes.md", "# Rye\n\nForty sacks."))
    works.index(document)

    assert reading(works) == []


def test_file_that_changed_since_is_left_to_whoever_indexes_it(works: Works) -> None:
    path = works.write("receipt.pdf", scan("Received forty sacks"))
    (document,) = works.register(path)
    works.index(document)
    (task,) = reading(works)
    works.write("receipt.pdf", scan("Received nothing at all"))

    assert works.finish(task).result == {"with_text": 0, "without": 1, "failed": 0}


def test_file_that_is_gone_is_told_and_the_others_are_read(works: Works) -> None:
    first, second = works.register(
        works.write("gone.pdf", scan("Lost words")), works.write("kept.pdf", scan("Kept words"))
    )
    works.index(first, second)
    (works.folder / "gone.pdf").unlink()

    task = works.finish(works.app.tasks.submit("read_text", {"doc_ids": [first.id, second.id, 10**6]}))

    assert task.state is TaskState.COMPLETED
    assert task.result == {"with_text": 1, "without": 0, "failed": 1}
    (item,) = works.app.tasks.items(task.id)
    assert (item["name"], item["error"]["code"]) == ("gone.pdf", "path_not_found")
    assert works.app.searcher.search("Kept words", collection="books").hits[0].name == "kept.pdf"


def test_many_are_handed_out_and_summed_up(works: Works) -> None:
    documents = works.register(*(works.write(f"{number}.pdf", scan(f"Sack {number}")) for number in range(10)))
    works.index(*documents)

    task = works.finish(works.app.tasks.submit("read_text", {"doc_ids": [one.id for one in documents]}))

    assert (task.result, task.progress.done, task.progress.total) == (
        {"with_text": 10, "without": 0, "failed": 0},
        10,
        10,
    )
