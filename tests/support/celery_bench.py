"""The Celery engine between a real Valkey and real worker processes, used as Celery's users use it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from celery import Celery
from redis import Redis

from gristmill.app import Gristmill, open_gristmill
from gristmill.engines.broker import BrokerEngine
from gristmill.settings import load_settings
from gristmill.tasks.model import Task, TaskState
from tests.support.front import Front
from tests.support.processes import python_environment
from tests.support.waiting import eventually

__all__ = ["LONG_SECONDS", "CeleryBench", "celery_bench", "is_alive", "kill_all"]

LONG_SECONDS = 60.0
"""A task that takes so long is meant to be stopped."""


class CeleryBench:
    """Whoever submits, and whoever looks."""

    def __init__(self, app: Gristmill, url: str, folder: Path, stack: ExitStack) -> None:
        self.app = app
        self.url = url
        self.folder = folder
        self.drain_seconds = 1
        """Of workers that are started from now on."""
        self.redis: Redis = Redis.from_url(url)
        self._stack = stack

    def environment(self, **more: str) -> dict[str, str]:
        """For programs that know where this bench keeps its data."""
        own = {
            "GRISTMILL_DATA": str(self.app.settings.data),
            "GRISTMILL_REDIS__URL": self.url,
            "GRISTMILL_WORKERS__DRAIN_SECONDS": str(self.drain_seconds),
            "GRISTMILL_WORKERS__CANCEL_GRACE_SECONDS": "0.5",
            "GRISTMILL_TASKS__LEASE_SECONDS": "3",
            "GRISTMILL_TASKS__SWEEP_SECONDS": "0.5",
        }
        if self.app.settings.database.url is not None:
            own["GRISTMILL_DATABASE__URL"] = self.app.settings.database.url.get_secret_value()
        return python_environment(**own, **more)

    def worker(self, *flags: str, ours: bool = False) -> Front:
        """Start a worker with Celery's own command, or with ``ours``; it is there when it receives messages."""
        known = {worker.id for worker in self.app.store.workers()}
        program = ["gristmill.cli.main", "worker", "--engine", "celery"]
        command = program if ours else ["celery", "--app", "gristmill.celery", "worker", "--loglevel", "INFO"]
        ready = self.logs().count("celery.ready")
        front = Front(self.start(*command, *(flags or ("--concurrency", "1"))))
        eventually(lambda: {worker.id for worker in self.app.store.workers()} - known, seconds=40)
        eventually(lambda: self.logs().count("celery.ready") > ready, seconds=40)
        return front

    def start(self, *command: str, **more: str) -> "subprocess.Popen[bytes]":
        """Start a Python module with its arguments; it ends with the bench."""
        log = self.folder / f"{command[0]}-{len(list(self.folder.glob('*.log')))}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", *command],
                env=self.environment(**more),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._stack.callback(Front(process).clear_away)
        return process

    def python(self, code: str) -> Any:
        """What ``answer`` is after ``code`` ran in another process, which imports our tasks and nothing else of us."""
        script = f"import json\nfrom gristmill.celery import *\n{code}\nprint(json.dumps(answer))"
        ran = subprocess.run(
            [sys.executable, "-c", script],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def stranger(self) -> Celery:
        """The application of somebody who knows our broker and the names of our tasks."""
        app = Celery("stranger", broker=self.url, set_as_current=False)
        self._stack.callback(app.close)
        return app

    def logs(self) -> str:
        """What all processes wrote."""
        return "\n".join(log.read_text("utf-8", "replace") for log in self.folder.glob("*.log"))

    def ping(self, seconds: float = 0.0) -> Task:
        """Submit a task that takes so long."""
        return self.app.tasks.submit("ping", {"seconds": seconds})

    def publish(self, *tasks: Task) -> None:
        """Deliver ``tasks``, for the first time or once more."""
        engine = self.app.engines.members["celery"]
        assert isinstance(engine, BrokerEngine)
        engine.dispatch(tasks)
        engine.flush()

    def reaches(self, state: TaskState, *tasks: Task | str, seconds: float = 45) -> list[Task]:
        """Wait until the rows of all of ``tasks`` are in ``state``."""
        ids = [task if isinstance(task, str) else task.id for task in tasks]

        def look() -> list[Task] | None:
            rows = self.app.store.get_many(ids)
            return rows if len(rows) == len(ids) and {row.state for row in rows} == {state} else None

        return eventually(look, seconds)

    def happened(self, task: Task | str, name: str) -> int:
        """How often something happened to a task."""
        task_id = task if isinstance(task, str) else task.id
        return sum(event.name == name for event in self.app.store.events(task_id))

    def ran_once(self, *tasks: Task) -> None:
        """All of ``tasks`` were claimed once and completed once."""
        self.reaches(TaskState.COMPLETED, *tasks)
        assert {(self.happened(task, "claimed"), self.happened(task, "completed")) for task in tasks} == {(1, 1)}

    def in_broker(self) -> int:
        """How many messages wait or are not acknowledged."""
        queues = [str(self.redis.llen(queue)) for queue in self.app.settings.workers.queues]
        return sum(map(int, queues)) + int(str(self.redis.hlen("unacked")))


@contextmanager
def celery_bench(folder: Path, url: str, database: str | None = None) -> Iterator[CeleryBench]:
    """A bench over the broker at ``url``, with the rows in ``database`` or in a file."""
    overrides: dict[str, Any] = {"redis": {"url": url}, "tasks": {"lease_seconds": 3, "sweep_seconds": 0.5}}
    if database is not None:
        overrides["database"] = {"url": database}
    data = folder / "data"
    app = open_gristmill(load_settings(data=data, overrides=overrides, environ={}))
    with ExitStack() as stack:
        stack.callback(app.close)
        bench = CeleryBench(app, url, folder, stack)
        stack.callback(bench.redis.close)
        yield bench


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs, not counting one that nobody has buried yet."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def kill_all(members: list[psutil.Process]) -> None:
    """All at once, without a word."""
    for member in members:
        with suppress(psutil.NoSuchProcess):
            os.kill(member.pid, signal.SIGKILL)
