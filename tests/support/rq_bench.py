"""The RQ engine between a real Valkey and real worker processes, looked at through RQ's own eyes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from gristmill.app import Gristmill, open_gristmill
from gristmill.settings import dump_settings, load_settings
from gristmill.tasks.model import Task, TaskState
from tests.support.front import Front
from tests.support.processes import python_environment
from tests.support.waiting import eventually

__all__ = ["LONG_SECONDS", "RqBench", "rq_bench"]

LONG_SECONDS = 30.0
"""A task that takes so long is meant to be stopped."""


class RqBench:
    """Whoever submits, and whoever looks at RQ."""

    def __init__(self, app: Gristmill, url: str, stack: ExitStack) -> None:
        self.app = app
        self.url = url
        self.redis: Redis = Redis.from_url(url)
        self._stack = stack

    def environment(self) -> dict[str, str]:
        """For programs that know where this bench keeps its data."""
        own = {"GRISTMILL_DATA": str(self.app.settings.data), "GRISTMILL_REDIS__URL": self.url}
        if self.app.settings.database.url is not None:
            own["GRISTMILL_DATABASE__URL"] = self.app.settings.database.url.get_secret_value()
        environment = python_environment(**own)
        # Another major version of RQ may be on the path.
        return {**environment, "PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], *_given_path()])}

    def worker(self) -> Front:
        """Start a worker; it is there when RQ lists it."""
        known = {worker.name for worker in self.workers()}
        settings = json.dumps(dump_settings(self.app.settings))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.rq_worker", settings],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        front = Front(process)
        self._stack.callback(front.clear_away)
        eventually(lambda: {worker.name for worker in self.workers()} - known, seconds=30)
        return front

    def workers(self) -> Sequence[Worker]:
        """Those that RQ lists."""
        return Worker.all(connection=self.redis)  # type: ignore[return-value]  # It says BaseWorker.

    def queue(self, name: str = "default") -> Queue:
        """A queue as anybody else opens it."""
        return Queue(name, connection=self.redis, serializer=JSONSerializer)

    def job(self, task: Task | str) -> Job:
        """The job of a task."""
        task_id = task if isinstance(task, str) else task.id
        return Job.fetch(task_id, connection=self.redis, serializer=JSONSerializer)

    def status(self, task: Task | str) -> str:
        """What RQ says of a job; nothing if it does not know it."""
        task_id = task if isinstance(task, str) else task.id
        found: Any = self.redis.hget(Job.key_for(task_id), "status")
        return "" if found is None else found.decode()

    def shows(self, status: str, *tasks: Task | str) -> bool:
        """Wait until RQ says ``status`` of all of ``tasks``."""
        return eventually(lambda: all(self.status(task) == status for task in tasks), seconds=40)

    def ping(self, seconds: float = 0.0) -> Task:
        """Submit a task that takes so long."""
        return self.app.tasks.submit("ping", {"seconds": seconds})

    def reaches(self, state: TaskState, *tasks: Task | str) -> list[Task]:
        """Wait until the rows of all of ``tasks`` are in ``state``."""
        ids = [task if isinstance(task, str) else task.id for task in tasks]

        def look() -> list[Task] | None:
            rows = self.app.store.get_many(ids)
            return rows if len(rows) == len(ids) and {row.state for row in rows} == {state} else None

        return eventually(look, seconds=45)

    def happened(self, task: Task, name: str) -> int:
        """How often something happened to a task."""
        return sum(event.name == name for event in self.app.store.events(task.id))

    def listed(self, name: str = "default") -> Mapping[str, Sequence[str]]:
        """The jobs in each of a queue's lists."""
        queue = self.queue(name)
        return {
            "queued": queue.get_job_ids(),
            "taken": queue.intermediate_queue.get_job_ids(),
            "started": queue.started_job_registry.get_job_ids(cleanup=False),
            "finished": queue.finished_job_registry.get_job_ids(cleanup=False),
            "failed": queue.failed_job_registry.get_job_ids(cleanup=False),
            "canceled": queue.canceled_job_registry.get_job_ids(cleanup=False),
            "scheduled": queue.scheduled_job_registry.get_job_ids(cleanup=False),
        }


def _given_path() -> list[str]:
    return [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]


@contextmanager
def rq_bench(folder: Path, url: str, database: str | None = None) -> Iterator[RqBench]:
    """A bench over the broker at ``url``, with the rows in ``database`` or in a file."""
    overrides: dict[str, Any] = {
        "redis": {"url": url},
        "engine": {"name": "rq"},
        "workers": {"concurrency": 1, "drain_seconds": 1},
        "tasks": {"lease_seconds": 3, "sweep_seconds": 0.5},
    }
    if database is not None:
        overrides["database"] = {"url": database}
    app = open_gristmill(load_settings(data=folder, overrides=overrides, environ={}))
    with ExitStack() as stack:
        stack.callback(app.close)
        bench = RqBench(app, url, stack)
        stack.callback(bench.redis.close)
        yield bench
