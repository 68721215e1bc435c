"""A Gristmill with real worker processes, none of which may outlive its test."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from gristmill.app import Gristmill
from gristmill.ids import new_id
from gristmill.settings import Settings, dump_settings
from gristmill.tasks.model import Task, TaskState
from tests.support.handlers import open_with_test_kinds, payload
from tests.support.postgres import fresh_database
from tests.support.processes import python_environment
from tests.support.waiting import eventually

Tree = list[psutil.Process]


@dataclass
class Mill:
    """One data directory, and the workers on it."""

    app: Gristmill
    folder: Path
    workers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    seen: Tree = field(default_factory=list)

    @property
    def database(self) -> dict[str, dict[str, Any]]:
        """The settings by which others come to its database."""
        url = self.app.settings.database.url
        return {"database": {} if url is None else {"url": url.get_secret_value()}}

    @property
    def environment(self) -> dict[str, str]:
        """The same as variables, and where its broker is."""
        variables = {f"GRISTMILL_DATABASE__{name.upper()}": value for name, value in self.database["database"].items()}
        settings = self.app.settings
        if settings.redis.url is not None and settings.engine.name is not None:
            variables["GRISTMILL_REDIS__URL"] = settings.redis.url.get_secret_value()
            variables["GRISTMILL_ENGINE__NAME"] = settings.engine.name
        return variables

    def start(
        self, *, concurrency: int = 1, failpoint: str = "", engine: str | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a worker, of another ``engine`` than the settings name perhaps, and wait until it is known.

        It fails where ``failpoint`` says.
        """
        known = {worker.pid for worker in self.app.store.workers()}
        settings = dump_settings(self.app.settings)
        settings["workers"]["concurrency"] = concurrency
        with (self.folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.support.worker", json.dumps(settings), engine or ""],
                stderr=log,
                stdout=log,
                stdin=subprocess.DEVNULL,
                env=python_environment(GRISTMILL_FAILPOINT=failpoint),
            )
        self.workers.append(worker)
        eventually(lambda: {worker.pid for worker in self.app.store.workers()} - known, 15)
        return worker

    def submit(self, kind: str, **limits: Any) -> Task:
        """Accept a task of a test kind; ``limits`` replace those of the kind."""
        folder = self.folder / new_id()
        folder.mkdir()
        draft = replace(self.app.tasks.draft(kind, payload(folder)), **limits)
        return self.app.tasks.submit_all([draft])[0]

    def started(self, task: Task, lease: int = 1) -> list[str]:
        """What the handler said when its attempt under ``lease`` began."""
        mark = Path(task.payload["folder"]) / f"started-{lease}"
        eventually(mark.exists, 20)
        for worker in self.workers:
            self.tree(worker)
        return mark.read_text(encoding="utf-8").split()

    @staticmethod
    def let_go(task: Task) -> None:
        """Let a patient task end."""
        (Path(task.payload["folder"]) / "go").touch()

    def ended(self, task: Task, seconds: float = 20) -> Task:
        """The task once it has ended."""
        return eventually(lambda: self._final(task), seconds)

    def _final(self, task: Task) -> Task | None:
        now = self.app.store.get(task.id)
        return now if now.state.is_final else None

    def in_state(self, task: Task, state: TaskState, seconds: float = 20) -> Task:
        """The task once it is in ``state``."""

        def look() -> Task | None:
            now = self.app.store.get(task.id)
            return now if now.state is state else None

        return eventually(look, seconds)

    def history(self, task: Task) -> list[str]:
        """The names of all that happened to the task."""
        return [event.name for event in self.app.store.events(task.id)]

    def tree(self, worker: "subprocess.Popen[bytes]") -> Tree:
        """The worker and all it has started."""
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(worker.pid)
            found = [root, *root.children(recursive=True)]
            self.seen += found
            return found
        return []

    def stop(self) -> None:
        """Tell all workers to stop; nothing that they started may be left."""
        for worker in self.workers:
            self.tree(worker)
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGCONT)
            worker.terminate()
        for worker in self.workers:
            worker.wait(timeout=20)
        eventually(lambda: gone(self.seen), 5)
        # Others are told on a thread, which may be at it.
        self.app.bell.close()
        in_use = self.app.database.checked_out()
        self.app.close()
        assert in_use == 0

    def logs(self) -> str:
        """What all workers wrote."""
        return "\n".join(log.read_text("utf-8", "replace") for log in self.folder.glob("worker-*.log"))


def gone(processes: Tree) -> bool:
    """Whether none of ``processes`` runs any more."""
    return all(not process.is_running() or process.status() == psutil.STATUS_ZOMBIE for process in processes)


@contextmanager
def _mills(tmp_path: Path, make_of_database: str) -> Iterator[Callable[..., Mill]]:
    """Opens a Gristmill with short times; afterwards its workers must go, and take all they started along."""
    made: list[Mill] = []

    def make(data: Path | None = None, **sections: dict[str, Any]) -> Mill:
        values: dict[str, Any] = {
            "data": data or tmp_path / f"data-{len(made)}",
            "tasks": {"lease_seconds": 2.0, "sweep_seconds": 0.2},
            "workers": {"cancel_grace_seconds": 0.5, "drain_seconds": 0.3, "memory_limit_mb": 600, "nice": 0},
            "log": {"format": "json"},
        }
        for section, changes in sections.items():
            values[section] = {**values.get(section, {}), **changes}
        if make_of_database == "postgres":
            values["database"] = {"url": fresh_database(), **values.get("database", {})}
        folder = tmp_path / f"marks-{len(made)}"
        folder.mkdir()
        made.append(Mill(app=open_with_test_kinds(Settings.model_validate(values)), folder=folder))
        return made[-1]

    yield make
    for mill in made:
        mill.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def make_of_database(request: pytest.FixtureRequest) -> str:
    """Every test runs on both, but for those that say otherwise."""
    make: str = request.param
    return make


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def make_for_all(request: pytest.FixtureRequest) -> str:
    """The same for what is shared by all tests of a file."""
    make: str = request.param
    return make


@pytest.fixture
def make_mill(tmp_path: Path, make_of_database: str) -> Iterator[Callable[..., Mill]]:
    """Opens a Gristmill with settings of the test's own and no worker yet."""
    with _mills(tmp_path, make_of_database) as make:
        yield make


@pytest.fixture
def mill(make_mill: Callable[..., Mill]) -> Mill:
    """A Gristmill with short times and no worker yet."""
    return make_mill()


@pytest.fixture(scope="module")
def running_mill(tmp_path_factory: pytest.TempPathFactory, make_for_all: str) -> Iterator[Mill]:
    """A Gristmill with a worker of two slots, for all tests of a file."""
    with _mills(tmp_path_factory.mktemp("mill"), make_for_all) as make:
        mill = make()
        mill.start(concurrency=2)
        yield mill
