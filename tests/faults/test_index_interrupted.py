"""The process that writes an index dies in the middle: readers see the old version or the new one, whole."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gristmill.app import Gristmill, open_gristmill
from gristmill.embed.registry import describe
from gristmill.index.model import CollectionSettings, Document
from gristmill.settings import Settings, dump_settings
from gristmill.tasks.context import RunContext
from gristmill.tasks.model import Lost, Task, TaskState
from gristmill.tasks.runner import Runner
from gristmill.worker.build import build_handlers
from tests.integration.worker.conftest import Mill, gone
from tests.support.history import what_broke
from tests.support.pausing import pause
from tests.support.postgres import fresh_database
from tests.support.processes import python_environment
from tests.support.published import Published, published
from tests.support.tasks import WORKER, new_worker
from tests.support.waiting import eventually

SENTENCES = 700
"""More chunks than one batch holds, at this chunk size."""
SMALL_CHUNKS = {"chunk_size": 50, "chunk_overlap": 0}


def sentences_about(word: str) -> list[str]:
    return [f"Sack {number} is full of {word} from the mill." for number in range(SENTENCES)]


def text_about(word: str) -> str:
    return "\n\n".join(sentences_about(word))


class Shop:
    """One document that is indexed, and about to be indexed again."""

    def __init__(self, app: Gristmill, folder: Path) -> None:
        self.app = app
        self.file = folder / "sacks.txt"
        self.folder = folder
        self.file.write_text(text_about("rye"), "utf-8")
        self.document: Document = app.documents.register_local([(str(self.file), str(folder))], collection="books")[0]

    def submit(self) -> Task:
        return self.app.tasks.submit("index_document", {"doc_id": self.document.id, "user_id": None, "force": True})

    def attempt(self) -> None:
        """Run one attempt."""
        runner = Runner(self.app.store, self.app.kinds, build_handlers(self.app), self.app.clock)
        (task,) = self.app.store.claim(WORKER, queues=self.app.settings.workers.queues, kinds=runner.kinds)
        context = RunContext(task, self.app.store, self.app.clock, temp_dir=self.app.paths.temp / task.id)
        runner.run(task, context, guard=lambda attempt: attempt())

    def die(self, failpoint: str) -> int:
        """Run one attempt in a process of its own, until it fails; its exit status."""
        command = [sys.executable, "-m", "tests.support.attempt", json.dumps(dump_settings(self.app.settings))]
        environment = python_environment(GRISTMILL_FAILPOINT=failpoint)
        return subprocess.run(command, env=environment, check=False, capture_output=True).returncode

    def found(self, word: str) -> int:
        """How many chunks a search for ``word`` finds."""
        return len(self.app.index.text(self.app.index.collection("books"), word, limit=10_000))

    def rows(self) -> Published:
        """Every row that readers can come to see."""
        return published(self.app.database, self.document.id)

    def holds(self, word: str) -> bool:
        """Whether the rows are those of one whole version about ``word``: each chunk once, in order, with its vector."""
        rows = self.rows()
        positions = [position for position, _, _ in rows.pieces]
        return (
            rows.texts == sentences_about(word)
            and positions == sorted(set(positions))
            and len({len(vector) for _, _, vector in rows.pieces}) == 1
            and all(any(vector) for _, _, vector in rows.pieces)
        )

    def visible(self) -> dict[str, int]:
        """What a reader can find of the old text and of the new."""
        return {word: self.found(word) for word in ("rye", "oats")}


def shop_of(mill: Mill) -> Shop:
    """A document of more chunks than one batch holds, for the workers of ``mill``."""
    model = describe("multilingual")
    assert model.dimension is not None
    settings = CollectionSettings(
        embedder=model.name, model_id=model.model_id, dimension=model.dimension, **SMALL_CHUNKS
    )
    mill.app.index.ensure_collection("books", settings)
    return Shop(mill.app, mill.folder)


@pytest.fixture
def shop(tmp_path: Path, make_of_database: str) -> Iterator[Shop]:
    """A document whose first version is published."""
    values = {"data": tmp_path / "data", "index": SMALL_CHUNKS, "log": {"level": "error"}}
    if make_of_database == "postgres":
        values["database"] = {"url": fresh_database()}
    app = open_gristmill(Settings.model_validate(values))
    app.store.register_worker(new_worker())
    folder = tmp_path / "files"
    folder.mkdir()
    shop = Shop(app, folder)
    shop.submit()
    shop.attempt()
    assert shop.visible() == {"rye": SENTENCES, "oats": 0}
    yield shop
    app.bell.close()
    in_use = app.database.checked_out()
    app.close()
    assert in_use == 0


@pytest.mark.parametrize(
    "place", ["before_stage", "between_stages@1", "between_stages@2", "before_publish", "after_publish"]
)
def test_readers_see_the_old_version_until_the_new_one_is_whole(shop: Shop, place: str) -> None:
    shop.file.write_text(text_about("oats"), "utf-8")
    task = shop.submit()
    name, _, time = place.partition("@")
    before = shop.rows()
    assert shop.holds("rye")

    assert shop.die(f"{name}:kill" + (f"@{time}" if time else "")) == -signal.SIGKILL

    assert shop.visible() == {"rye": SENTENCES, "oats": 0}
    assert shop.rows() == before
    shop.app.store.remove_worker(WORKER, Lost(reason="killed by SIGKILL"))
    shop.app.store.register_worker(new_worker())
    shop.attempt()
    assert shop.visible() == {"rye": 0, "oats": SENTENCES}
    assert shop.holds("oats")
    # The old version stays as it was, for those who read it by its number.
    assert shop.rows().versions[:1] == before.versions
    ended = shop.app.store.get(task.id)
    assert (ended.state, ended.lease) == (TaskState.COMPLETED, 2)
    numbers = [version.number for version in shop.app.index.versions(shop.document.id)]
    assert numbers == [2, 1]
    assert what_broke(shop.app.store, [task.id]) == []


@pytest.mark.parametrize("place", ["before_stage", "between_stages", "before_publish", "after_publish"])
def test_short_document_is_replaced_at_once_or_not_at_all(shop: Shop, place: str) -> None:
    shop.file.write_text("One sack of barley.", "utf-8")
    task = shop.submit()

    assert shop.die(f"{place}:kill") == -signal.SIGKILL

    assert shop.found("barley") == 0
    assert shop.visible() == {"rye": SENTENCES, "oats": 0}
    shop.app.store.remove_worker(WORKER, Lost(reason="killed by SIGKILL"))
    shop.app.store.register_worker(new_worker())
    shop.attempt()
    assert shop.found("barley") == 1
    assert shop.visible() == {"rye": 0, "oats": 0}
    assert what_broke(shop.app.store, [task.id]) == []


def test_cancel_in_the_middle_of_an_index_write_leaves_the_old_version(mill: Mill) -> None:
    shop = shop_of(mill)
    first = mill.start()
    mill.ended(shop.submit())
    first.terminate()
    first.wait(timeout=20)
    before = shop.visible(), shop.rows()
    shop.file.write_text(text_about("oats"), "utf-8")
    worker = mill.start(failpoint="between_stages:pause")
    task = shop.submit()
    eventually(lambda: any(process.status() == "stopped" for process in mill.tree(worker)), 20)
    (slot,) = [process for process in mill.tree(worker) if process.status() == "stopped"]

    mill.app.tasks.cancel_one(task.id)

    assert mill.ended(task).state is TaskState.CANCELLED
    eventually(lambda: gone([slot]), 5)
    assert before[0]["rye"] > 0
    assert (shop.visible(), shop.rows()) == before
    assert list(mill.app.paths.temp.iterdir()) == []


def test_zombie_that_wakes_with_a_whole_version_in_its_hands_publishes_nothing(mill: Mill) -> None:
    shop = shop_of(mill)
    zombie = mill.start(failpoint="before_finish:pause")
    task = shop.submit()
    eventually(lambda: any(process.status() == "stopped" for process in mill.tree(zombie)), 20)
    (slot,) = [process for process in mill.tree(zombie) if process.status() == "stopped"]
    pause(mill.app.database, psutil.Process(zombie.pid))
    mill.start()
    mill.ended(task)
    before = shop.rows(), shop.visible()

    slot.resume()
    os.kill(zombie.pid, signal.SIGCONT)

    eventually(lambda: len(mill.app.store.workers()) == 2 and gone([slot]), 20)
    assert (shop.rows(), shop.visible()) == before
    assert len(before[0].versions) == 1
    assert len(before[0].texts) > 0
    assert before[1]["rye"] > 0
    assert what_broke(mill.app.store, [task.id]) == []


def test_zombie_that_wakes_between_two_batches_changes_no_row_of_its_heir(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(index=SMALL_CHUNKS)
    shop = shop_of(mill)
    first = mill.start()
    mill.ended(shop.submit())
    first.terminate()
    first.wait(timeout=20)
    shop.file.write_text(text_about("oats"), "utf-8")
    zombie = mill.start(failpoint="between_stages:pause")
    task = shop.submit()
    eventually(lambda: any(process.status() == "stopped" for process in mill.tree(zombie)), 20)
    (slot,) = [process for process in mill.tree(zombie) if process.status() == "stopped"]
    pause(mill.app.database, psutil.Process(zombie.pid))
    mill.start()
    heir = mill.ended(task)
    before = shop.rows(), shop.visible()

    slot.resume()
    os.kill(zombie.pid, signal.SIGCONT)

    eventually(lambda: len(mill.app.store.workers()) == 2 and gone([slot]), 20)
    assert (heir.state, heir.lease) == (TaskState.COMPLETED, 2)
    assert (shop.rows(), shop.visible()) == before
    assert len(before[0].versions) == 2
    assert before[1]["rye"] == 0
    assert before[1]["oats"] > 0
    assert what_broke(mill.app.store, [task.id]) == []
