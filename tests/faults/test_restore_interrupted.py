"""A collection is restored: the process dies in the middle, others read, others publish. Nobody sees a mix."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select, text

from gristmill.clock import SystemClock
from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.db.schema import documents
from gristmill.index.model import Document, DocumentFilter
from gristmill.tasks.model import Task, TaskState
from tests.contracts.shelf import DIMENSION, Shelf, chunks_of
from tests.integration.worker.conftest import Mill
from tests.support.history import what_broke
from tests.support.postgres import fresh_database
from tests.support.processes import python_environment
from tests.support.reading import look
from tests.support.waiting import eventually

CHANGED, DELETED, NEW = 200, 20, 30
KEPT = 3
LOOKS = 5
NOTES = 30
ROUNDS = 5


class Shelves:
    """A store of its own, and a collection of some hundred documents in it."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.database.migrate()
        self.store = SqlIndexStore(self.database, clock=SystemClock())
        self.shelf = Shelf(self.store, self.database)

    def write(self, word: str, names: range) -> list[Document]:
        """Make documents be about ``word``."""
        written = [self.shelf.document(f"/{name}") for name in names]
        ready = [
            self.store.prepare(
                replace(self.shelf.draft(document), title=word),
                chunks_of([f"{word} {document.name} {part}" for part in ("first", "second")]),
                task_id=document.name,
                dimension=DIMENSION,
            )
            for document in written
        ]
        with self.database.write() as transaction:
            self.store.publish_wholes(transaction, ready, keep_versions=KEPT)
        return written

    def restore_and_fail(self, snapshot_id: int, failpoint: str) -> "subprocess.Popen[bytes]":
        """Restore in a process of its own, which fails at ``failpoint``."""
        command = [sys.executable, "-m", "tests.support.restoring", self.database.url, self.shelf.name]
        return subprocess.Popen([*command, str(snapshot_id)], env=python_environment(GRISTMILL_FAILPOINT=failpoint))


@pytest.fixture
def shelves(database: str | None, tmp_path: Path) -> Iterator[Shelves]:
    shelves = Shelves(database or f"sqlite:///{tmp_path / 'shelves.db'}")
    yield shelves
    in_use = shelves.database.checked_out()
    shelves.database.close()
    assert in_use == 0


class Reader:
    """A process that looks all the time."""

    def __init__(self, shelves: Shelves, log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "tests.support.reading", shelves.database.url, shelves.shelf.name]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, env=python_environment())

    def looks(self) -> list[dict[str, Any]]:
        """Everything it saw."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines(keepends=True) if line[-1] == "\n"]

    def stop(self) -> int:
        """Its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=20)


@contextmanager
def reading(shelves: Shelves, folder: Path) -> Iterator[Callable[[], None]]:
    """Two processes that read; what is given waits until each has looked some more times, from the beginning to the end.

    Afterwards, each must have seen the collection as it was and then as it is, and nothing else.
    """
    before = look(shelves.store, shelves.shelf.name)
    readers = [Reader(shelves, folder / f"reader-{number}.log") for number in range(2)]

    def look_again() -> None:
        for reader in readers:
            so_far = len(reader.looks())
            eventually(lambda reader=reader, so_far=so_far: len(reader.looks()) >= so_far + LOOKS, 30)  # type: ignore[misc]

    try:
        look_again()
        yield look_again
        look_again()
    finally:
        ended = [reader.stop() for reader in readers]
    assert ended == [0, 0]
    after = look(shelves.store, shelves.shelf.name)
    for way in before:
        was, then = before[way][1], after[way][1]
        assert was != then
        for reader in readers:
            seen = [view[way] for view in reader.looks()]
            parts = [one for is_overtaken, one in seen if is_overtaken and one not in (was, then)]
            assert all(one.items() <= was.items() or one.items() <= then.items() for one in parts), way
            whole = [one for is_overtaken, one in seen if one not in parts or not is_overtaken]
            assert [one for one in whole if one not in (was, then)] == [], way
            # First as it was, then as it is, and never back.
            assert whole == [was] * whole.count(was) + [then] * whole.count(then), way
            assert whole.count(was) > LOOKS < whole.count(then)


def changed_since(shelves: Shelves) -> int:
    """The id of a snapshot, since which all documents changed, went or came."""
    shelves.write("rye", range(CHANGED + DELETED))
    snapshot = shelves.store.take_snapshot(shelves.shelf.name, "rye")
    shelves.write("oats", range(CHANGED))
    gone = [shelves.shelf.document(f"/{name}").id for name in range(CHANGED, CHANGED + DELETED)]
    shelves.store.delete_documents(gone)
    shelves.write("barley", range(CHANGED + DELETED, CHANGED + DELETED + NEW))
    return snapshot.id


def test_readers_see_a_restored_collection_whole_or_not_at_all(shelves: Shelves, tmp_path: Path) -> None:
    snapshot_id = changed_since(shelves)
    with reading(shelves, tmp_path) as look_again:
        restoring = shelves.restore_and_fail(snapshot_id, "between_pointers:pause")
        eventually(lambda: psutil.Process(restoring.pid).status() == psutil.STATUS_STOPPED, 20)
        look_again()

        os.kill(restoring.pid, signal.SIGKILL)
        restoring.wait(timeout=20)
        look_again()
        assert shelves.restore_and_fail(snapshot_id, "between_pointers:kill").wait(timeout=20) == -signal.SIGKILL
        look_again()
        assert len(shelves.store.snapshots(shelves.shelf.name)) == 1

        restored = shelves.store.restore(shelves.shelf.name, snapshot_id, keep_versions=KEPT)

    assert (restored.changed, restored.returned, restored.removed) == (CHANGED, DELETED, NEW)
    total = CHANGED + DELETED
    assert {way: seen for way, (_, seen) in look(shelves.store, shelves.shelf.name).items()} == {
        "words": {"rye": 2 * total},
        "vectors": {"rye": 2 * total},
        "list": {"rye": total},
        "counts": [total, 2 * total],
        "matches": total,
    }
    back = shelves.store.restore(shelves.shelf.name, restored.before.id, keep_versions=KEPT)
    assert (back.changed, back.returned, back.removed) == (CHANGED, NEW, DELETED)
    assert look(shelves.store, shelves.shelf.name)["list"] == [False, {"oats": CHANGED, "barley": NEW}]


class TestBesideAPublication:
    """Somebody publishes a document: its row is taken, that of its collection not yet."""

    @pytest.fixture
    def shelves(self) -> Iterator[Shelves]:
        """On Postgres, where there is more than one writer."""
        shelves = Shelves(fresh_database())
        yield shelves
        shelves.database.close()

    def waits(self, shelves: Shelves) -> bool:
        """Whether somebody waits for a row."""
        asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        with shelves.database.read() as connection:
            return bool(connection.execute(text(asked)).scalar_one())

    @pytest.mark.parametrize("deed", ["take", "restore", "delete", "delete all"])
    def test_who_comes_meanwhile_waits_and_meets_the_new_version(self, shelves: Shelves, deed: str) -> None:
        store, shelf = shelves.store, shelves.shelf
        first, *_ = shelves.write("rye", range(3))
        snapshot = store.take_snapshot(shelf.name, "rye")
        deeds: dict[str, Callable[[], object]] = {
            "take": lambda: store.take_snapshot(shelf.name, "meanwhile"),
            "restore": lambda: store.restore(shelf.name, snapshot.id, keep_versions=KEPT),
            "delete": lambda: store.delete_documents([first.id]),
            "delete all": lambda: store.delete_collection(shelf.name),
        }
        late = shelf.begin(first)
        shelf.stage(late, ["oats", "barley", "more"])
        with ThreadPoolExecutor(1) as pool:
            with shelves.database.write() as transaction:
                transaction.execute(select(documents.c.id).where(documents.c.id == first.id).with_for_update())
                done = pool.submit(deeds[deed])
                eventually(lambda: self.waits(shelves))
                store.publish(transaction, late, keep_versions=KEPT)
            done.result()

        chunks = {"take": 3 + 2 + 2, "restore": 2 + 2 + 2, "delete": 2 + 2}
        if deed in chunks:
            assert shelf.collection.chunk_count == chunks[deed]
        if deed == "take":
            assert store.snapshots(shelf.name)[0].chunk_count == chunks[deed]


class Notes:
    """Files that change, and the collection they are indexed in by real workers."""

    def __init__(self, mill: Mill) -> None:
        self.app = mill.app
        folder = mill.folder / "notes"
        folder.mkdir()
        self.files = [folder / f"{number}.txt" for number in range(NOTES)]
        self.write(0)
        self.documents = self.app.documents.register_local(
            [(str(file), str(folder)) for file in self.files], collection="notes"
        )

    def write(self, number: int) -> None:
        for file in self.files:
            file.write_text(f"Sack {number} of note {file.stem} is full of rye.", "utf-8")

    def index(self) -> list[Task]:
        """Hand in a task for each document, which may meet as many changes as there are."""
        drafts = [
            replace(self.app.tasks.draft("index_document", {"doc_id": one.id, "user_id": None}), max_attempts=100)
            for one in self.documents
        ]
        return self.app.tasks.submit_all(drafts)

    def seen(self, *, by_words: bool) -> set[tuple[int, int, str]]:
        """Document, version and text of every chunk that is found."""
        index, collection = self.app.index, self.app.index.collection("notes")
        if by_words:
            found = index.text(collection, "sack", limit=10_000)
        else:
            found = index.nearest(collection, self.app.embedders.embed_query(collection.space, "sack"), limit=10_000)
        return {(hit.document_id, hit.version, hit.text) for hit in index.hits(collection, found)}

    def shown(self) -> set[tuple[int, int, str]]:
        """The same by the pointers."""
        index = self.app.index
        return {
            (one.id, one.version.number, chunk.text)
            for one in index.documents(DocumentFilter(collection="notes"), limit=1000)
            if one.version is not None
            for chunk in index.version_chunks(one.id, one.version.number)
        }


def test_collection_that_is_restored_while_workers_publish_in_it_is_right_in_the_end(mill: Mill) -> None:
    notes = Notes(mill)
    index = mill.app.index
    mill.start(concurrency=2)
    tasks = notes.index()
    for task in tasks:
        mill.ended(task, 60)
    oldest = index.take_snapshot("notes", "oldest")
    turns = 0
    for number in range(1, ROUNDS):
        notes.write(number)
        mine = notes.index()
        tasks += mine
        while any(not mill.app.store.get(task.id).state.is_final for task in mine):
            turns += 1
            newer = index.take_snapshot("notes", f"turn {turns}")
            index.roll_back(notes.documents[turns % NOTES].id, 1)
            index.restore("notes", oldest.id if turns % 2 else newer.id, keep_versions=KEPT)
            index.forget_snapshot("notes", newer.id, keep_versions=KEPT)

    assert turns > ROUNDS
    assert {mill.app.store.get(task.id).state for task in tasks} == {TaskState.COMPLETED}
    shown, collection = notes.shown(), index.collection("notes")
    assert len({document for document, _, _ in shown}) == NOTES
    assert notes.seen(by_words=True) == notes.seen(by_words=False) == shown
    assert (collection.document_count, collection.chunk_count) == (NOTES, len(shown))
    index.restore("notes", oldest.id, keep_versions=KEPT)
    assert {text for _, _, text in notes.shown()} == {
        f"Sack 0 of note {number} is full of rye." for number in range(NOTES)
    }
    assert notes.seen(by_words=True) == notes.seen(by_words=False) == notes.shown()
    assert what_broke(mill.app.store, [task.id for task in tasks]) == []
