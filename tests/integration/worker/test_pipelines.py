"""The handlers of the product on real files, store and embedder, driven one attempt at a time."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.app import Gristmill, open_gristmill
from gristmill.index.model import Document, SearchMode
from gristmill.settings import Settings
from gristmill.tasks.context import RunContext
from gristmill.tasks.model import Outcome, Released, Task, TaskFilter, TaskState
from gristmill.tasks.runner import Runner
from gristmill.worker.build import build_handlers
from tests.support.clock import TestClock
from tests.support.tasks import WORKER, new_worker

Guard = Callable[[Callable[[], Outcome]], Outcome]
QUEUES = ("default", "documents", "images")
STORY = "The mill ground forty-two sacks of rye before the frost.\n\n" * 40


def plain(attempt: Callable[[], Outcome]) -> Outcome:
    return attempt()


class Works:
    """One Gristmill whose tasks run in this process when a test says so."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.folder = folder / "files"
        self.folder.mkdir()
        self.clock = TestClock()
        settings = Settings.model_validate({"data": folder / "data", **sections})
        self.app: Gristmill = open_gristmill(settings, clock=self.clock)
        self.app.store.register_worker(new_worker())
        self.runner = Runner(self.app.store, self.app.kinds, build_handlers(self.app), self.clock)
        self.temp = folder / "attempt"

    def write(self, name: str, text: str | bytes = STORY) -> Path:
        """A file to index; each write is later than the one before."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.clock.pass_time(1)
        os.utime(path, ns=(self.clock.now() * 1000, self.clock.now() * 1000))
        return path

    def register(self, *paths: Path) -> list[Document]:
        """The documents of these files."""
        files = [(str(path), str(self.folder)) for path in paths]
        return self.app.documents.register_local(files, collection="books")

    def attempt(self, *, guard: Guard = plain) -> Task | None:
        """Run one attempt of whatever is due."""
        self.app.store.promote_due()
        claimed = self.app.store.claim(WORKER, queues=QUEUES, kinds=self.runner.kinds)
        if not claimed:
            return None
        context = RunContext(claimed[0], self.app.store, self.clock, temp_dir=self.temp)
        return self.runner.run(claimed[0], context, guard=guard)

    def finish(self, task: Task) -> Task:
        """Run everything until ``task`` has ended."""
        for _ in range(100):
            now = self.app.store.get(task.id)
            if now.state.is_final:
                return now
            if self.attempt() is None:
                self.clock.pass_time(600)
        raise AssertionError(self.app.store.get(task.id))

    def index(self, *documents: Document, force: bool = False) -> Task:
        """The ended task that indexed these documents."""
        return self.finish(self.app.documents.index([document.id for document in documents], force=force))

    def details(self, task: Task) -> list[dict[str, Any]]:
        """What the task says of each document."""
        return [dict(item) for item in self.app.store.items(task.id)]


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    works = Works(tmp_path)
    yield works
    in_use = works.app.database.checked_out()
    works.app.close()
    assert in_use == 0


def test_batch_reports_every_document_when_one_is_missing_and_one_is_damaged(works: Works) -> None:
    good, other = (
        works.write("good.md", "# Rye\n\n" + STORY),
        works.write("霜冻.txt", "霜冻之前，磨坊磨了四十二袋黑麦。"),
    )
    damaged, vanished = works.write("damaged.pdf", b"%PDF-1.7\n" + os.urandom(500)), works.write("vanished.txt")
    documents = works.register(good, other, damaged, vanished)
    vanished.unlink()
    ids = [*(document.id for document in documents), 10**6]

    task = works.finish(works.app.documents.index(ids))

    details = works.details(task)
    assert (task.state, task.result) == (
        TaskState.COMPLETED,
        {"total": 5, "success": 2, "failed": 3, "skipped": 0},
    )
    assert [item["doc_id"] for item in details] == ids
    assert [item["status"] for item in details] == ["completed", "completed", "failed", "failed", "failed"]
    assert all(item["error"]["code"] for item in details[2:])
    assert (task.progress.done, task.progress.failed, task.progress.total) == (2, 3, 5)
    # Errors are read by clients, who have no business with the paths of the server.
    assert str(works.folder) not in repr(details)
    states = [works.app.index.document(document.id).state.value for document in documents]
    assert states[:2] == ["indexed", "indexed"]
    assert set(states[2:]) == {"failed"}


def test_document_that_was_read_for_one_claim_is_read_again_for_the_next(works: Works) -> None:
    first, second = works.register(works.write("first.md"), works.write("second.md"))
    task = works.app.documents.index([first.id, second.id])
    works.attempt()
    mine, given_back = works.app.store.claim(WORKER, queues=QUEUES, kinds=works.runner.kinds, limit=2)
    context = RunContext(mine, works.app.store, works.clock, temp_dir=works.temp, upcoming=[given_back])
    works.runner.run(mine, context, guard=plain)
    works.app.store.finish(given_back.id, given_back.lease, Released(reason="the task before it takes long"))
    works.app.index.delete_documents([second.id])

    ended = works.finish(task)

    assert [(item["status"], item.get("error", {}).get("code")) for item in works.details(ended)] == [
        ("completed", None),
        ("failed", "document_not_found"),
    ]


def test_batch_does_only_what_changed(works: Works) -> None:
    first, second = works.write("first.md"), works.write("second.md", "Short and dry.")
    documents = works.register(first, second)
    works.index(*documents)
    again = works.index(*works.register(first, second))
    works.write("first.md", STORY + "And then the frost came.\n")

    changed = works.index(*works.register(first, second))

    assert again.result == {"total": 2, "success": 2, "failed": 0, "skipped": 2}
    assert changed.result == {"total": 2, "success": 2, "failed": 0, "skipped": 1}
    detail = works.details(changed)[0]
    assert detail["status"] == "completed"
    assert (detail["embedded"], detail["reused"] > 0) == (1, True)
    assert detail["embedded"] + detail["reused"] == detail["chunks"]


def test_batch_passes_over_a_file_that_was_only_touched(works: Works) -> None:
    path = works.write("first.md")
    works.index(*works.register(path))
    works.write("first.md")

    task = works.index(*works.register(path))

    assert task.result == {"total": 1, "success": 1, "failed": 0, "skipped": 1}
    assert len(works.app.index.versions(works.register(path)[0].id)) == 1


def test_batch_with_force_embeds_everything_again(works: Works) -> None:
    (document,) = works.register(works.write("first.md"))
    works.index(document)

    task = works.index(document, force=True)

    (detail,) = works.details(task)
    assert detail["status"] == "completed"
    assert (detail["embedded"] > 0, detail["reused"]) == (True, 0)


def test_batch_counts_a_document_once_however_often_it_is_named(works: Works) -> None:
    (document,) = works.register(works.write("first.md", "Short."))

    task = works.finish(works.app.tasks.submit("batch_index", {"doc_ids": [document.id] * 3}))

    assert task.result == {"total": 1, "success": 1, "failed": 0, "skipped": 0}


def test_batch_of_nothing_known_completes_with_failures(works: Works) -> None:
    task = works.finish(works.app.tasks.submit("batch_index", {"doc_ids": [1, 2]}))

    assert task.result == {"total": 2, "success": 0, "failed": 2, "skipped": 0}


def test_cancelled_batch_publishes_nothing_more(works: Works) -> None:
    documents = works.register(*(works.write(f"{number}.md", f"Book {number}.") for number in range(3)))
    task = works.app.documents.index([document.id for document in documents])
    works.attempt()
    works.attempt()

    works.app.tasks.cancel_one(task.id)

    assert works.attempt() is None
    assert works.app.store.counts(TaskFilter(parent_id=task.id)) == {TaskState.COMPLETED: 1, TaskState.CANCELLED: 2}
    published = [works.app.index.document(document.id).version for document in documents]
    assert sum(version is not None for version in published) == 1


def test_cancelled_batch_goes_on_where_it_stopped_when_it_is_retried(works: Works) -> None:
    documents = works.register(*(works.write(f"{number}.md", f"Book {number}.") for number in range(3)))
    task = works.app.documents.index([document.id for document in documents])
    works.attempt()
    works.attempt()
    works.app.tasks.cancel_one(task.id)

    works.app.tasks.retry_one(task.id)
    ended = works.finish(task)

    assert ended.result is not None
    assert (ended.result["success"], ended.result["failed"]) == (3, 0)
    assert all(len(works.app.index.versions(document.id)) == 1 for document in documents)


def test_delete_index_removes_the_index_and_keeps_the_document(works: Works) -> None:
    (document,) = works.register(works.write("first.md"))
    works.index(document)
    before = works.app.index.document(document.id)

    task = works.finish(works.app.tasks.submit("delete_index", {"doc_id": document.id}))

    after = works.app.index.document(document.id)
    assert before.version is not None
    assert task.result is not None
    assert task.result["status"] == "deleted"
    assert task.result["deleted"] == before.version.chunk_count
    assert (after.id, after.version) == (document.id, None)
    assert not works.app.searcher.search("rye frost", collection="books").hits


def test_delete_index_fails_when_there_is_no_such_document(works: Works) -> None:
    task = works.finish(works.app.tasks.submit("delete_index", {"doc_id": 999}))

    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.code == "document_not_found"


def test_reembed_switches_when_all_is_embedded(works: Works) -> None:
    works.index(*works.register(works.write("first.md")))
    before = works.app.index.collection("books").space

    task = works.finish(works.app.documents.reembed("books", "fast"))
    again = works.finish(works.app.documents.reembed("books", "fast"))

    after = works.app.index.collection("books").space
    assert task.state is TaskState.COMPLETED
    assert (before.embedder, after.embedder) == ("multilingual", "fast")
    assert task.result is not None
    assert task.result["embedded"] > 0
    assert again.result is not None
    assert again.result["embedded"] == 0


def test_reembed_leaves_out_nothing_that_was_published_meanwhile(works: Works) -> None:
    works.index(*works.register(works.write("first.md")))
    (late,) = works.register(works.write("late.md", "The baker was late."))
    task = works.app.documents.reembed("books", "fast")

    def publish_at_the_last_moment(attempt: Callable[[], Outcome]) -> Outcome:
        outcome = attempt()
        works.index(late)
        return outcome

    first = works.attempt(guard=publish_at_the_last_moment)
    space_after_first = works.app.index.collection("books").space.embedder
    ended = works.finish(task)

    assert first is not None
    assert (first.state, first.error and first.error.code) == (TaskState.PENDING, "embeddings_incomplete")
    assert space_after_first == "multilingual"
    assert ended.state is TaskState.COMPLETED
    space = works.app.index.collection("books").space
    assert (space.embedder, works.app.index.count_to_embed(space.id)) == ("fast", 0)


@pytest.mark.parametrize("mode", SearchMode)
def test_texts_that_say_the_same_are_told_apart_by_the_names_of_their_documents(works: Works, mode: SearchMode) -> None:
    written = [works.write(name, "It is read once, when the program starts.") for name in ("parseConfig.py", "menu.py")]
    works.index(*works.register(*written))

    def found(query: str) -> str:
        return works.app.searcher.search(query, collection="books", mode=mode, limit=1).hits[0].source

    first = [found("config parse"), found("menu")]
    works.finish(works.app.documents.reembed("books", "fast"))

    assert first == [found("config parse"), found("menu")] == [str(path.resolve()) for path in written]


def test_index_of_a_document_meets_a_newer_version_and_starts_again(works: Works) -> None:
    path = works.write("first.md", "Version one.")
    (document,) = works.register(path)
    slow = works.app.tasks.submit("index_document", {"doc_id": document.id})

    def overtaken(attempt: Callable[[], Outcome]) -> Outcome:
        outcome = attempt()
        works.write("first.md", "Version two.")
        works.index(*works.register(path))
        return outcome

    works.attempt(guard=overtaken)
    works.finish(slow)

    hits = works.app.searcher.search("version", collection="books").hits
    assert [hit.text for hit in hits] == ["Version two."]


def test_process_document_hands_back_the_text_and_indexes_nothing(works: Works) -> None:
    path = works.write("first.md", "# Rye\n\nThe mill.")
    payload = {"source": str(path), "root": str(works.folder)}

    whole = works.finish(works.app.tasks.submit("process_document", payload))
    pieces = works.finish(
        works.app.tasks.submit("process_document", {**payload, "split": True, "chunk_size": 100, "chunk_overlap": 0})
    )

    for task in (whole, pieces):
        assert task.result is not None
        assert task.result["document_count"] == len(works.details(task)) == task.progress.done
        assert "The mill." in works.details(task)[-1]["page_content"]
    assert works.app.index.collections() == []
