"""Lays ghosts: what RQ still lists although whoever had it is gone, or although its row says something else."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from redis import Redis
from rq import Worker
from rq.job import Job
from rq.registry import CanceledJobRegistry, FailedJobRegistry, StartedJobRegistry
from rq.worker_registration import clean_worker_registry

from gristmill.engines.rq import FAILURE_TTL_SECONDS
from gristmill.logs import get_log
from gristmill.worker.rq.popper import Hint
from gristmill.worker.rq.seat import Seat

__all__ = ["Ghosts"]

_log = get_log(__name__)

_NEWEST_FAILURES = 200
"""How many are compared with their rows."""


class Ghosts:
    """The round that one front makes through the lists of its queues; others may make theirs at the same time."""

    def __init__(self, connection: Redis, seats: Mapping[str, Seat], has: Callable[[str], bool]) -> None:
        self._connection = connection
        self._seats = seats
        self._has = has
        """Whether a job is in our own hands."""
        self._orphans: set[bytes] = set()
        """Taken from a queue by nobody known, at the last round; somebody may just have been about to say so."""
        self._compared: set[bytes] = set()
        """Failures that were compared with their rows."""

    def look(self) -> list[Hint]:
        """One round; the hints of jobs whose rows are to be looked at again."""
        again: list[Hint] = []
        orphans: set[bytes] = set()
        failures: set[bytes] = set()
        for seat in self._seats.values():
            clean_worker_registry(seat.queue)
            self._end_abandoned(seat)
            orphans |= self._put_back_orphans(seat)
            listed: Any = self._connection.zrevrange(FailedJobRegistry(queue=seat.queue).key, 0, _NEWEST_FAILURES - 1)
            failures |= set(listed)
            again += [Hint(raw, seat.queue.name) for raw in listed if raw not in self._compared]
            # RQ keeps these for ever.
            oldest = time.time() - FAILURE_TTL_SECONDS
            self._connection.zremrangebyscore(CanceledJobRegistry(queue=seat.queue).key, 0, oldest)
        self._orphans, self._compared = orphans, failures
        return [hint for hint in again if hint.task_id is not None and not self._has(hint.task_id)]

    def _end_abandoned(self, seat: Seat) -> None:
        """Started, and no sign of life of it since."""
        key = StartedJobRegistry(queue=seat.queue).key
        entries: Any = self._connection.zrangebyscore(key, 0, time.time())
        for entry in entries:
            task_id = entry.split(b":")[0]
            if self._has(task_id.decode("ascii", "replace")):
                continue
            # Whoever takes it out of the list is the one to put it back.
            if self._connection.zrem(key, entry):
                self._connection.rpush(seat.queue.key, task_id)
                _log.info("rq.job_abandoned", queue=seat.queue.name)

    def _put_back_orphans(self, seat: Seat) -> set[bytes]:
        """Taken from the queue, and not claimed; answers what may become an orphan until the next round."""
        key = seat.queue.intermediate_queue_key
        entries: Any = self._connection.lrange(key, 0, -1)
        taken = {raw for raw in entries if not self._has(raw.decode("ascii", "replace"))}
        keepers = self._keepers(taken)
        nobodys = {raw for raw in taken if not keepers[raw]}
        gone = {raw for raw, keeper in keepers.items() if keeper and not self._lives(keeper)}
        orphans: Any = gone | (nobodys & self._orphans)
        for raw in orphans:
            if self._connection.lrem(key, 0, raw):
                self._connection.rpush(seat.queue.key, raw)
                _log.info("rq.hint_put_back", queue=seat.queue.name)
        return nobodys

    def _keepers(self, taken: Collection[bytes]) -> dict[bytes, str]:
        with self._connection.pipeline(transaction=False) as pipeline:
            ids = list(taken)
            for raw in ids:
                pipeline.hget(Job.key_for(raw.decode("ascii", "replace")), "worker_name")
            names = pipeline.execute()
        return {raw: (name or b"").decode("utf-8", "replace") for raw, name in zip(ids, names, strict=True)}

    def _lives(self, worker: str) -> bool:
        return bool(self._connection.exists(f"{Worker.redis_worker_namespace_prefix}{worker}"))
