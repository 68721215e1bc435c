"""What people ask of jobs and workers by RQ's own means: stop, shut down, cancel."""

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from redis import Redis, RedisError
from redis.client import PubSub
from rq.job import Job, JobStatus
from rq.registry import CanceledJobRegistry

from gristmill.engines.rq import is_job_id
from gristmill.logs import get_log
from gristmill.worker.rq.reading import ENDED
from gristmill.worker.rq.seat import Seat

__all__ = ["Cancels", "Commands"]

_log = get_log(__name__)

_LISTEN_SECONDS = 1.0
_PAUSE_SECONDS = 2.0
_SKEW_SECONDS = 120
"""How far the clock of whoever cancels may be off."""


class Commands(threading.Thread):
    """The thread that hears RQ's commands to our workers."""

    def __init__(
        self,
        connection: Redis,
        channels: Collection[str],
        *,
        stop: Callable[[str], None],
        shut_down: Callable[[], None],
    ) -> None:
        super().__init__(name="rq commands", daemon=True)
        self._connection = connection
        self._channels = channels
        self._on_stop = stop
        self._on_shutdown = shut_down
        self._ended = threading.Event()

    def end(self) -> None:
        """Listen no longer."""
        self._ended.set()

    def run(self) -> None:
        """Listen until told otherwise, whatever the server does."""
        while not self._ended.is_set():
            try:
                with PubSub(self._connection.connection_pool, ignore_subscribe_messages=True) as pubsub:
                    pubsub.subscribe(*self._channels)
                    while not self._ended.is_set():
                        message = pubsub.get_message(timeout=_LISTEN_SECONDS)
                        if message is not None:
                            self._obey(message["data"])
            except (RedisError, OSError):
                # The poppers say that the server is away.
                self._ended.wait(_PAUSE_SECONDS)

    def _obey(self, data: bytes) -> None:
        try:
            order = json.loads(data)
            command = order["command"]
        except (ValueError, TypeError, KeyError):
            _log.warning("rq.command_unreadable")
            return
        match command:
            case "stop-job" | "stop-execution" if is_job_id(str(order.get("job_id", ""))):
                self._on_stop(order["job_id"])
            case "shutdown":
                self._on_shutdown()
            case _:
                # To kill "the horse" means one job where a worker has one at a time; here it would mean any.
                _log.warning("rq.command_ignored", command=str(command)[:40])


class Cancels:
    """Finds jobs that were cancelled by RQ's means, which tell nobody."""

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._seen: dict[tuple[str, float], float] = {}
        """When which cancel was seen, by the job's id and the time RQ notes."""
        self._since = float("-inf")

    def look(self, seats: Mapping[str, Seat]) -> list[str]:
        """The ids of jobs that others have cancelled since the last look; at the first, of all that RQ still lists."""
        now = time.time()
        with self._connection.pipeline(transaction=False) as pipeline:
            for seat in seats.values():
                key = CanceledJobRegistry(queue=seat.queue).key
                pipeline.zrangebyscore(key, self._since, "+inf", withscores=True)
            listed = {(raw.decode("ascii", "replace"), at) for found in pipeline.execute() for raw, at in found}
        fresh = [cancel for cancel in listed if cancel not in self._seen and is_job_id(cancel[0])]
        meant = self._meant([task_id for task_id, _ in fresh])
        self._since = now - _SKEW_SECONDS
        self._seen = {cancel: at for cancel, at in self._seen.items() if at > now - 2 * _SKEW_SECONDS}
        self._seen |= dict.fromkeys(fresh, now)
        return meant

    def _meant(self, ids: list[str]) -> list[str]:
        """Those that have not been put into a queue again since, and that were not cancelled by us."""
        if not ids:
            return []
        with self._connection.pipeline(transaction=False) as pipeline:
            for task_id in ids:
                pipeline.hmget(Job.key_for(task_id), "status", "meta")
            states: list[Any] = pipeline.execute()
        cancelled, ours = JobStatus.CANCELED.value.encode(), ENDED.encode()
        return [
            task_id
            for task_id, (status, meta) in zip(ids, states, strict=True)
            if status == cancelled and ours not in (meta or b"")
        ]
