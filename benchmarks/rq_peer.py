"""The peer of the engines' benchmark: bare RQ on Valkey with one task that does nothing.

Imported by its default worker for each task anew, and so without anything that RQ has not imported anyway.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from rq import Queue, Worker

__all__ = ["WORKERS", "ping", "throughput", "working"]

WORKERS = {"default": "rq.Worker", "SimpleWorker": "rq.SimpleWorker"}
"""RQ's own worker forks a process for each task; the simple one runs all in one, and dies with the first that kills it."""

_STARTED_SECONDS = 30.0
_LONGEST_SECONDS = 300.0
_LOOK_SECONDS = 0.02


def ping(note: str) -> float:
    """When it ran."""
    del note
    return time.time()


@contextmanager
def working(url: str, *, worker: str, processes: int) -> Iterator[Redis]:
    """So many of RQ's workers, of one of :data:`WORKERS`, on the broker at ``url``; a connection to that."""
    from benchmarks.support import until

    command = [sys.executable, "-m", "rq.cli", "worker", "--quiet", "--url", url, "--worker-class", WORKERS[worker]]
    root = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    running = [
        subprocess.Popen([*command, "default"], env=environment, stderr=subprocess.DEVNULL) for _ in range(processes)
    ]
    try:
        with Redis.from_url(url) as redis:
            until(
                lambda: Worker.count(redis) == processes, "workers did not start", seconds=_STARTED_SECONDS, pause=0.1
            )
            yield redis
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


def throughput(redis: Redis, tasks: int) -> float:
    """Tasks per second, from the first one enqueued to the last one finished."""
    from benchmarks.support import until

    queue = Queue("default", connection=redis)
    finished = queue.finished_job_registry
    before: Any = redis.zcard(finished.key)
    start = time.perf_counter()
    for _ in range(tasks):
        queue.enqueue(ping, "bench")
    until(
        lambda: bool(redis.zcard(finished.key) >= before + tasks),
        "tasks did not end",
        seconds=_LONGEST_SECONDS,
        pause=_LOOK_SECONDS,
    )
    return tasks / (time.perf_counter() - start)
