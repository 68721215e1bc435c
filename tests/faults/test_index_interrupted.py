"""The process that writes an index dies in the middle: readers see the old version or the new one, whole."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.app import Gristmill, open_gristmill
from gristmill.index.model import Document
from gristmill.settings import Settings, dump_settings
from gristmill.tasks.context import RunContext
from gristmill.tasks.model import Lost, Task, TaskState
from gristmill.tasks.runner import Runner
from gristmill.worker.build import build_handlers
from tests.integration.worker.conftest import Mill, gone
from tests.support.history import what_broke
from tests.support.processes import python_environment
from tests.support.tasks import WORKER, new_worker
from tests.support.waiting import eventually

SENTENCES = 700
"""More chunks than one batch holds, at this chunk size."""
SMALL_CHUNKS = {"chunk_size": 50, "chunk_overlap": 0}


def text_about(word: str) -> str:
    return "\n\n".join(f"Sack {number} is full of {word} from the mill." for number in range(SENTENCES))


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

    def visible(self) -> dict[str, int]:
        """What a reader can find of the old text and of the new."""
        return {word: self.found(word) for word in ("rye", "oats")}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A document whose first version is published."""
    settings = Settings.model_validate({"data": tmp_path / "data", "index": SMALL_CHUNKS, "log": {"level": "error"}})
    app = open_gristmill(settings)
    app.store.register_worker(new_worker())
    folder = tmp_path / "files"
    folder.mkdir()
    shop = Shop(app, folder)
    shop.submit()
    shop.attempt()
    assert shop.visible() == {"rye": SENTENCES, "oats": 0}
    yield shop
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

    assert shop.die(f"{name}:kill" + (f"@{time}" if time else "")) == -signal.SIGKILL

    assert shop.visible() == {"rye": SENTENCES, "oats": 0}
    shop.app.store.remove_worker(WORKER, Lost(reason="killed by SIGKILL"))
    shop.app.store.register_worker(new_worker())
    shop.attempt()
    assert shop.visible() == {"rye": 0, "oats": SENTENCES}
    ended = shop.app.store.get(task.id)
    assert (ended.state, ended.lease) == (TaskState.COMPLETED, 2)
    numbers = [version.number for version in shop.app.index.versions(shop.document.id)]
    assert numbers == [2, 1]
    assert what_broke(shop.app.store, [task.id]) == []


def test_cancel_in_the_middle_of_an_index_write_leaves_the_old_version(mill: Mill) -> None:
    shop = Shop(mill.app, mill.folder)
    first = mill.start()
    mill.ended(shop.submit())
    first.terminate()
    first.wait(timeout=20)
    before = shop.visible()
    shop.file.write_text(text_about("oats"), "utf-8")
    worker = mill.start(failpoint="between_stages:pause")
    task = shop.submit()
    eventually(lambda: any(process.status() == "stopped" for process in mill.tree(worker)), 20)
    (slot,) = [process for process in mill.tree(worker) if process.status() == "stopped"]

    mill.app.tasks.cancel_one(task.id)

    assert mill.ended(task).state is TaskState.CANCELLED
    eventually(lambda: gone([slot]), 5)
    assert before["rye"] > 0
    assert shop.visible() == before
    assert list(mill.app.paths.temp.iterdir()) == []


def test_zombie_that_wakes_with_a_whole_version_in_its_hands_publishes_nothing(mill: Mill) -> None:
    shop = Shop(mill.app, mill.folder)
    zombie = mill.start(failpoint="before_finish:pause")
    task = shop.submit()
    eventually(lambda: any(process.status() == "stopped" for process in mill.tree(zombie)), 20)
    (slot,) = [process for process in mill.tree(zombie) if process.status() == "stopped"]
    os.kill(zombie.pid, signal.SIGSTOP)
    mill.start()
    mill.ended(task)
    before = shop.app.index.versions(shop.document.id), shop.visible()

    slot.resume()
    os.kill(zombie.pid, signal.SIGCONT)

    eventually(lambda: len(mill.app.store.workers()) == 2 and gone([slot]), 20)
    assert (shop.app.index.versions(shop.document.id), shop.visible()) == before
    assert [version.number for version in before[0]] == [1]
    assert before[1]["rye"] > 0
