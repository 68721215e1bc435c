"""A worker as RQ lists it: one for each of our queues, all of the same process.

RQ's own worker takes jobs from several queues without a safe place for what it took; from one queue it has one, the
queue's intermediate list. So each of ours has one queue, and they share the slots.
"""

import os
import socket
from datetime import datetime
from typing import Any

from redis import Redis
from redis.client import Pipeline
from rq import Worker
from rq.executions import Execution
from rq.job import Job
from rq.utils import now
from rq.worker import WorkerStatus
from rq.worker_registration import register, unregister

from gristmill.engines.rq import rq_queue

__all__ = ["ALIVE_SECONDS", "Seat"]

ALIVE_SECONDS = 30
"""A worker, and what it runs, is believed to be there for so long after its last sign of life."""


class _Listed(Worker):
    """RQ's worker, for what it writes down; it never works."""

    def _set_connection(self, connection: Redis) -> Redis:
        # RQ would have the connection wait for minutes.
        return connection

    def get_heartbeat_ttl(self, *_: Any, **__: Any) -> int:
        # RQ would list what a dead worker ran for a minute longer.
        return ALIVE_SECONDS


class Seat:
    """The registration of one worker of one queue."""

    def __init__(self, queue: str, connection: Redis, *, name: str) -> None:
        self.queue = rq_queue(queue, connection)
        self.name = f"{name}-{queue}"
        self._connection = connection
        # Unprepared: it would ask the server who it is, and the server may be away.
        self._worker = _Listed(
            [self.queue], self.name, connection=connection, prepare_for_work=False, serializer=self.queue.serializer
        )
        self._worker.hostname, self._worker.pid = socket.gethostname(), os.getpid()
        self._worker.birth_date = now()

    @property
    def channel(self) -> str:
        """Where RQ sends commands for it."""
        return str(self._worker.pubsub_channel_name)

    def beat(self, pipeline: Pipeline, *, busy: bool) -> None:
        """Say that it is there, all of it: the server may have forgotten everything."""
        worker = self._worker
        worker.last_heartbeat = now()
        register(worker, pipeline)
        pipeline.hset(worker.key, mapping={name: value or "" for name, value in worker.serialize().items()})
        worker.set_state(WorkerStatus.BUSY if busy else WorkerStatus.IDLE, pipeline=pipeline)
        worker.heartbeat(ALIVE_SECONDS, pipeline=pipeline)

    def leave(self, pipeline: Pipeline) -> None:
        """Say that it is gone."""
        unregister(self._worker, pipeline)
        pipeline.delete(self._worker.key)

    def begin(self, job: Job) -> Execution:
        """List ``job`` as started. Not as the worker's current job, of which there may be many.

        rq-dashboard reads the current jobs of all workers as pickles, and shows no worker at all when one is in JSON.
        """
        execution = self._worker.prepare_execution(job)
        if hasattr(self._worker, "executions_key"):  # Since RQ 3; what wants the current job of RQ 2 asks for it.
            self._connection.srem(self._worker.executions_key, execution.composite_key)
        return execution

    def go_on(self, job: Job, execution: Execution, pipeline: Pipeline) -> None:
        """Say that ``job`` still runs."""
        execution.heartbeat(job.started_job_registry, ALIVE_SECONDS, pipeline)
        job.heartbeat(now(), ALIVE_SECONDS, pipeline=pipeline)

    def end(self, job: Job, execution: Execution, pipeline: Pipeline) -> None:
        """``job`` runs no longer."""
        execution.delete(job, pipeline)
        if hasattr(self._worker, "executions"):  # Since RQ 3.
            self._worker.executions.pop(execution.id, None)

    def count(
        self, pipeline: Pipeline, *, success: bool, started_at: datetime | None, ended_at: datetime | None
    ) -> None:
        """Add a job that has ended to the worker's figures."""
        if success:
            self._worker.increment_successful_job_count(pipeline)
        else:
            self._worker.increment_failed_job_count(pipeline)
        if started_at is not None and ended_at is not None:
            self._worker.increment_total_working_time(ended_at - started_at, pipeline)
