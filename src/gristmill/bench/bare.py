"""Bare Celery and bare RQ, as their documentation starts them, on the same broker and the same number of slots."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from gristmill.bench.contender import Processes
from gristmill.bench.marks import BEGAN, ENDED, FILE, Marks

__all__ = ["BareCelery", "BareRq"]

BROKER = "BENCH_BROKER"


class _Bare(ABC):
    """What both have in common: tasks that leave marks in a file."""

    name = ""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self._url = redis_url
        folder.mkdir()
        marks = folder / "marks"
        environment = {BROKER: redis_url, FILE: str(marks)}
        # Whoever submits imports the same modules.
        os.environ.update(environment)
        self._marks = Marks(marks)
        self.processes = Processes(folder / "log", environment)
        self.slots = 0

    def begin(self) -> None:
        self._marks.begin()

    def ended(self) -> int:
        return len(self._marks.pids(ENDED))

    def runners(self) -> list[int]:
        return self._marks.pids(BEGAN)

    @abstractmethod
    def submit(self, seconds: float, count: int) -> None: ...

    def close(self) -> None:
        self.processes.close()


class BareCelery(_Bare):
    """Celery with its default pool."""

    name = "bare celery"

    def __init__(self, folder: Path, redis_url: str) -> None:
        super().__init__(folder, redis_url)
        from gristmill.bench.bare_celery import app

        # Imported once, while each comparison has a broker of its own.
        app.close()
        app.amqp._producer_pool = None  # noqa: SLF001 - the application closes connections, and keeps who used them
        app.conf.broker_url = redis_url

    def start_worker(self, *, slots: int) -> None:
        options = ["-c", str(slots), "-n", f"bare{self.slots}@%h", "-l", "warning"]
        self.processes.start("celery", ["-A", "gristmill.bench.bare_celery", "worker", *options])

    def submit(self, seconds: float, count: int) -> None:
        from gristmill.bench.bare_celery import nap

        for _ in range(count):
            nap.delay(seconds)


class BareRq(_Bare):
    """RQ with its default worker, which forks for each job; one worker is one slot."""

    name = "bare rq"

    def __init__(self, folder: Path, redis_url: str) -> None:
        super().__init__(folder, redis_url)
        import redis
        from rq import Queue

        self._queue: Any = Queue("bare-rq", connection=redis.Redis.from_url(redis_url))

    def start_worker(self, *, slots: int) -> None:
        for _ in range(slots):
            self.processes.start("rq.cli", ["worker", "bare-rq", "--url", self._url, "--quiet"])

    def submit(self, seconds: float, count: int) -> None:
        for _ in range(count):
            self._queue.enqueue("gristmill.bench.marks.work", seconds)
