"""Takes hints out of one queue as long as there is room for them, into RQ's intermediate list and our hands."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis, RedisError

from gristmill.engines.rq import is_job_id, rq_queue
from gristmill.logs import get_log

__all__ = ["Hint", "Popper"]

_log = get_log(__name__)

_BLOCK_SECONDS = 1
_MOST_AT_ONCE = 64
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Hint:
    """What was in a queue: the id of a job, or something that is none."""

    raw: bytes
    queue: str

    @property
    def task_id(self) -> str | None:
        """The id, unless RQ would not take it for one."""
        text = self.raw.decode("ascii", "replace")
        return text if is_job_id(text) else None


class Popper(threading.Thread):
    """The thread that waits for hints in one queue."""

    def __init__(self, queue: str, connection: Redis, *, room: int, deliver: Callable[[list[Hint]], None]) -> None:
        super().__init__(name=f"rq {queue}", daemon=True)
        self._queue = rq_queue(queue, connection)
        self._connection = connection
        self._most = room
        self._deliver = deliver
        self._changed = threading.Condition()
        self._held = 0
        """Hints that were delivered and whose tasks nobody has claimed yet."""
        self._stopping = False

    def stop(self) -> None:
        """Take no more; the thread ends within the time of one wait."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def let_go(self, hints: int = 1) -> None:
        """So many of the delivered hints take no room any more."""
        with self._changed:
            self._held -= hints
            self._changed.notify_all()

    def hold(self, hints: int = 1) -> None:
        """So many take room again."""
        with self._changed:
            self._held += hints

    def run(self) -> None:
        """Take hints until told to stop, whatever the server does."""
        pause = 0.0
        while (room := self._room()) > 0:
            try:
                hints = self._pop(room)
            except (RedisError, OSError) as error:
                if not pause:
                    _log.warning("rq.queue_unreadable", queue=self._queue.name, error=type(error).__name__)
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2 or 0.5)
                time.sleep(pause)
                continue
            if pause:
                _log.info("rq.queue_readable", queue=self._queue.name)
            pause = 0.0
            if hints:
                self.hold(len(hints))
                self._deliver(hints)

    def _room(self) -> int:
        """How many hints may be taken; waits until it is more than none, and is none when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._held < self._most)
            return 0 if self._stopping else self._most - self._held

    def _pop(self, room: int) -> list[Hint]:
        queue, taken = self._queue.key, self._queue.intermediate_queue_key
        with self._connection.pipeline(transaction=False) as pipeline:
            for _ in range(min(room, _MOST_AT_ONCE)):
                pipeline.lmove(queue, taken)
            found = [raw for raw in pipeline.execute() if raw is not None]
        if not found:
            one = self._connection.blmove(queue, taken, _BLOCK_SECONDS)
            found = [] if one is None else [one]
        return [Hint(raw, self._queue.name) for raw in found]
