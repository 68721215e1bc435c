"""A collection is brought up to date with a folder, a file or a URL: what is new and changed, and what is gone."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gristmill.index.model import DocumentFilter, SearchMode
from gristmill.tasks.model import Lost, Task, TaskFilter, TaskState
from gristmill.tasks.runner import Runner
from gristmill.worker.build import build_handlers
from tests.integration.worker.test_pipelines import STORY, Works
from tests.material.web import Answer, page, serve
from tests.support.tasks import WORKER, new_worker


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    works = Works(tmp_path)
    yield works
    in_use = works.app.database.checked_out()
    works.app.close()
    assert in_use == 0


def take_in(works: Works, source: Path | str | None = None, **payload: Any) -> Task:
    """The ended task that brought the collection up to date with the folder."""
    given = {"source": str(source or works.folder), "root": str(works.folder), "collection": "books", **payload}
    return works.finish(works.app.tasks.submit("index_source", given, collection="books"))


def result(task: Task) -> dict[str, Any]:
    assert task.state is TaskState.COMPLETED, task.error
    return dict(task.result or {})


def counted(**values: int) -> dict[str, int]:
    return {"total": 0, "success": 0, "failed": 0, "skipped": 0, "removed": 0, "unsettled": 0, **values}


def names(works: Works) -> set[str]:
    return {document.name for document in works.app.index.documents(DocumentFilter(collection="books"), limit=100)}


def kinds(works: Works) -> Counter[str]:
    return Counter(task.kind for task in works.app.tasks.find(TaskFilter(), limit=1000))


def test_folder_is_indexed_and_then_only_what_has_changed(works: Works) -> None:
    for name in ("a.md", "b.txt", "c.md"):
        works.write(name)
    (works.folder / ".hidden.md").write_text(STORY)
    (works.folder / "unknown.bin").write_bytes(b"\0")
    first = take_in(works)
    works.write("b.txt", "The weir was mended in May. " * 20)
    works.write("new.md", "The miller bought a cat. " * 20)

    second = take_in(works)
    third = take_in(works)

    assert result(first) == counted(total=3, success=3)
    assert result(second) == counted(total=4, success=4, skipped=2)
    assert [item["name"] for item in works.details(second)] == ["b.txt", "new.md"]
    assert (second.progress.done, second.progress.skipped, second.progress.total) == (2, 2, 4)
    assert result(third) == counted(total=4, success=4, skipped=4)
    assert kinds(works) == {"index_source": 3, "index_document": 5}
    answer = works.app.searcher.search("miller cat", collection="books", mode=SearchMode.KEYWORD)
    assert [hit.name for hit in answer.hits] == ["new.md"]


def test_everything_is_indexed_again_when_it_is_forced(works: Works) -> None:
    works.write("a.md")
    works.write("b.md")
    take_in(works)

    forced = take_in(works, force=True)

    assert result(forced) == counted(total=2, success=2)
    assert kinds(works)["index_document"] == 4


def test_document_whose_file_is_gone_is_removed_where_that_is_asked_for(works: Works, tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text(STORY)
    works.app.documents.register_local([(str(outside), str(tmp_path))], collection="books")
    hidden = works.write(".hidden.md")
    works.register(hidden)
    gone, kept = works.write("gone.md"), works.write("kept.md")
    take_in(works)
    gone.unlink()
    outside.unlink()

    left_alone = take_in(works)
    pruned = take_in(works, prune=True)

    assert result(left_alone) == counted(total=1, success=1, skipped=1)
    assert result(pruned) == counted(total=1, success=1, skipped=1, removed=1)
    # What lies elsewhere, and what nobody would find although it is there, is none of its business.
    assert names(works) == {"kept.md", ".hidden.md", "outside.md"}
    assert kept.exists()


def test_empty_folder_removes_nothing(works: Works) -> None:
    file = works.write("a.md")
    take_in(works)
    file.unlink()

    plain = take_in(works)
    pruned = take_in(works, prune=True)

    assert result(plain) == counted()
    assert pruned.error is not None
    assert (pruned.error.code, pruned.error.facts["count"]) == ("prune_of_all", 1)
    assert names(works) == {"a.md"}


def test_folder_that_is_gone_fails_and_removes_nothing(works: Works) -> None:
    shelf = works.folder / "shelf"
    shelf.mkdir()
    file = shelf / "a.md"
    file.write_text(STORY)
    take_in(works, shelf)
    file.unlink()
    shelf.rmdir()

    task = take_in(works, shelf, prune=True)

    assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "path_not_found")
    assert task.attempt == 1
    assert names(works) == {"a.md"}


def test_file_that_cannot_be_taken_in_fails_alone(works: Works, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("The vault opens at nine.")
    works.write("good.md")
    (works.folder / "link.md").symlink_to(secret)
    os.mkfifo(works.folder / "pipe.md")
    Path(os.fsdecode(os.fsencode(works.folder) + b"/\xff.md")).write_text(STORY)
    works.write("damaged.pdf", b"%PDF-1.7\n" + os.urandom(500))

    first = take_in(works)
    again = take_in(works)

    assert result(first) == counted(total=5, success=1, failed=4)
    failed = {item["name"]: item["error"]["code"] for item in works.details(first) if item["status"] == "failed"}
    assert (failed["link.md"], failed["pipe.md"]) == ("path_outside_roots", "path_not_regular")
    assert set(failed) == {"link.md", "pipe.md", "?.md", "damaged.pdf"}
    assert str(tmp_path) not in repr(works.details(first))
    # What cannot be parsed is not tried again while it is the same.
    assert result(again) == counted(total=5, success=1, failed=4, skipped=1)
    assert kinds(works)["index_document"] == 2


def test_one_file_is_a_source_as_well(works: Works) -> None:
    works.write("other.md")
    file = works.write("a.md")

    task = take_in(works, file)

    assert result(task) == counted(total=1, success=1)
    assert names(works) == {"a.md"}


def test_url_is_indexed_again_when_its_content_has_changed(works: Works) -> None:
    pages: dict[str, Answer] = {}
    with serve(pages) as site:
        sources = works.app.settings.sources.model_copy(update={"allowed_hosts": (site.host,)})
        allowing = replace(works.app, settings=works.app.settings.model_copy(update={"sources": sources}))
        works.runner = Runner(works.app.store, works.app.kinds, build_handlers(allowing), works.clock)
        chunks = []
        for text in ("still", "still", "again"):
            pages["/news.html"] = page(f"<p>The mill turns {text}.</p>".encode(), Content_Type="text/html")
            task = take_in(works, site.url("/news.html"), root=None)
            chunks.append((result(task)["skipped"], [item.get("embedded") for item in works.details(task)]))

    assert chunks == [(0, [1]), (1, [0]), (0, [1])]
    assert names(works) == {"news.html"}


def test_root_that_is_not_named_opens_no_path(works: Works) -> None:
    file = works.write("a.md")

    task = take_in(works, file, root=None)

    assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "url_scheme_unsupported")


def test_parent_that_is_interrupted_goes_on_where_it_was(works: Works) -> None:
    for number in range(5):
        works.write(f"{number}.md")
    given = {"source": str(works.folder), "root": str(works.folder), "collection": "books"}
    task = works.app.tasks.submit("index_source", given)

    def dies(attempt: Any) -> Any:
        attempt()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        works.attempt(guard=dies)
    works.app.store.remove_worker(WORKER, Lost(reason="killed by SIGKILL"))
    works.app.store.register_worker(new_worker())

    assert result(works.finish(task)) == counted(total=5, success=5)
    assert kinds(works) == {"index_source": 1, "index_document": 5}
