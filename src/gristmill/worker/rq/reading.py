"""What the job that a hint named says: ours, somebody else's call of one of our functions, or nothing we can read.

Only JSON is ever decoded. A pickle, whoever put it there, stays bytes.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from gristmill.clock import from_micros
from gristmill.engines.rq import (
    FAILURE_TTL_SECONDS,
    FUNCTIONS,
    RESULT_TTL_SECONDS,
    TIMEOUT_SECONDS,
    description,
    function_name,
)
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import Json, Task

__all__ = ["ENDED", "Call", "Unreadable", "call_of", "is_ours", "job_for", "job_from", "was_requeued"]

ENDED = "gristmill_ended"
"""The note in a job's ``meta`` that it has ended; who requeues it by RQ's means leaves it there, our publisher does not."""

_LONGEST_NAME = 100
_LARGEST_FIELD = 64 * 1024
"""Bytes; RQ unpacks what is packed without a look at how much it becomes."""


class Unreadable(Exception):
    """The job cannot be read; carries the reason, and the name of the function if that much is known."""

    def __init__(self, reason: str, name: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.name = name[:_LONGEST_NAME]


@dataclass(frozen=True, slots=True)
class Call:
    """A kind with its payload, as somebody asked RQ to run it."""

    kind: str
    payload: Json


def job_from(task_id: str, stored: Mapping[bytes, bytes], connection: Redis) -> Job:
    """The job of what RQ stored of it; :class:`Unreadable`."""
    if any(len(value) > _LARGEST_FIELD for value in stored.values()):
        raise Unreadable("too large")
    try:
        job = Job(task_id, connection=connection, serializer=JSONSerializer)
        job.restore(stored)
    except Exception as error:
        # Anybody may have written anything: dates, numbers, text, compressed data.
        raise Unreadable(type(error).__name__) from error
    if not isinstance(job.meta, dict):
        raise Unreadable("meta is no object")
    return job


def job_for(task: Task, connection: Redis) -> Job:
    """The job of a task of which RQ knows nothing any more."""
    job = Job.create(
        function_name(task.kind),
        id=task.id,
        connection=connection,
        serializer=JSONSerializer,
        origin=task.queue,
        description=description(task.kind, task.id),
        timeout=TIMEOUT_SECONDS,
        result_ttl=RESULT_TTL_SECONDS,
        failure_ttl=FAILURE_TTL_SECONDS,
        status=JobStatus.QUEUED,
        meta={"task_id": task.id},
    )
    job.created_at = job.enqueued_at = from_micros(task.created_at)
    return job


def is_ours(job: Job) -> bool:
    """Whether our publisher wrote this job, for a row that was there."""
    return bool(job.meta.get("task_id") == job.id)


def was_requeued(job: Job) -> bool:
    """Whether somebody put the job back into its queue by RQ's means after it had ended."""
    return ENDED in job.meta and job.get_status(refresh=False) is JobStatus.QUEUED


def call_of(job: Job, kinds: Mapping[str, Kind]) -> Call:
    """What a job that is not ours asks for; :class:`Unreadable`."""
    try:
        # Read here, and not where RQ would: what a list of other things says of itself is not to be trusted.
        name, instance, args, kwargs = job.serializer.loads(job.data)
    except Exception as error:
        raise Unreadable("not JSON") from error
    if not isinstance(name, str):
        raise Unreadable("no function")
    module, _, function = name.rpartition(".")
    if module != FUNCTIONS or function not in kinds or instance is not None:
        raise Unreadable("unknown function", name)
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise Unreadable("no arguments", name)
    return Call(function, _payload(kinds[function], args, kwargs, name))


def _payload(kind: Kind, args: list[Any], kwargs: dict[str, Any], name: str) -> Json:
    fields = [field.name for field in dataclasses.fields(kind.payload)]
    if len(args) > len(fields):
        raise Unreadable("too many arguments", name)
    positional = dict(zip(fields, args, strict=False))
    if twice := positional.keys() & kwargs.keys():
        raise Unreadable(f"{min(twice)} given twice", name)
    return {**positional, **kwargs}
