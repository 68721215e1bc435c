"""The RQ engine's messages: an RQ job for each task, under the task's id and the name of its kind, without its payload.

Knows RQ's way of writing a job down. What becomes of the jobs is told by :mod:`gristmill.worker.rq`.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gristmill.engines.redis import connect, failures, prove
from gristmill.errors import Unavailable
from gristmill.settings.model import RedisSettings
from gristmill.tasks.ports import Ready

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue

__all__ = [
    "FAILURE_TTL_SECONDS",
    "FUNCTIONS",
    "RESULT_TTL_SECONDS",
    "TIMEOUT_SECONDS",
    "RqBroker",
    "description",
    "function_name",
    "is_job_id",
    "rq_queue",
]

FUNCTIONS = "gristmill.rq"
"""The module that RQ finds our functions in."""

# What the jobs say of themselves; the limits, the tries and the history that count are those of the rows.
TIMEOUT_SECONDS = 600
RESULT_TTL_SECONDS = 86_400
FAILURE_TTL_SECONDS = 604_800
RETRIES = 3

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


class RqBroker:
    """Implements :class:`gristmill.engines.broker.Broker` with the queues of RQ."""

    def __init__(self, redis: RedisSettings) -> None:
        self._settings = redis
        self._opened: Redis | None = None
        self._queues: dict[str, Queue] = {}
        """Kept, because RQ asks the server for its version with each new one."""

    @property
    def name(self) -> str:
        return "rq"

    def publish(self, tasks: Sequence[Ready]) -> None:
        connection = self._connection
        from rq import Retry
        from rq.job import Job

        # RQ would refuse all of them for one id that it does not like, or that comes twice.
        queues: dict[str, dict[str, Ready]] = {}
        for task in tasks:
            if is_job_id(task.id):
                queues.setdefault(task.queue, {})[task.id] = task
        with failures(self.name), connection.pipeline(transaction=False) as pipeline:
            for name, theirs in queues.items():
                queue = self._queues.get(name) or self._queues.setdefault(name, rq_queue(name, connection))
                queue.enqueue_many(
                    [
                        queue.prepare_data(
                            function_name(task.kind),
                            job_id=task.id,
                            description=description(task.kind, task.id),
                            timeout=TIMEOUT_SECONDS,
                            result_ttl=RESULT_TTL_SECONDS,
                            failure_ttl=FAILURE_TTL_SECONDS,
                            retry=Retry(max=RETRIES),
                            meta={"task_id": task.id},
                        )
                        for task in theirs.values()
                    ],
                    pipeline=pipeline,
                )
                for task_id in theirs:
                    # However it gets lost, what is written of it does not stay for ever.
                    pipeline.expire(Job.key_for(task_id), FAILURE_TTL_SECONDS)
            pipeline.execute()

    def ping(self) -> None:
        connection = self._connection
        with failures(self.name):
            prove(connection)

    def close(self) -> None:
        opened, self._opened = self._opened, None
        self._queues.clear()
        if opened is not None:
            opened.close()

    @property
    def _connection(self) -> "Redis":
        if self._opened is None:
            try:
                import rq  # noqa: F401 - messages need it, and who asks how the engine is shall hear if it is not there

                self._opened = connect(self._settings)
            except ImportError as error:
                raise Unavailable("extra_missing", feature="engine rq", extra="rq") from error
        return self._opened


def rq_queue(name: str, connection: "Redis") -> "Queue":
    """RQ's queue of this name, in JSON: what anybody else pickled into it is never unpickled."""
    from rq import Queue
    from rq.serializers import JSONSerializer

    return Queue(name, connection=connection, serializer=JSONSerializer)


def function_name(kind: str) -> str:
    """The name that RQ knows a kind by."""
    return f"{FUNCTIONS}.{kind}"


def description(kind: str, task_id: str) -> str:
    """What rq-dashboard shows of a task."""
    return f"{kind} {task_id}"


def is_job_id(task_id: str) -> bool:
    """Whether RQ takes this for the id of a job; a task with another one is found by the workers themselves."""
    return _JOB_ID.fullmatch(task_id) is not None
