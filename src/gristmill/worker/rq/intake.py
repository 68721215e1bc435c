"""What a hint out of a queue is worth: a row to follow, a row to be made of what somebody asked for, or nothing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation
from rq.job import Job

from gristmill.app import Gristmill
from gristmill.engines.policy import RQ
from gristmill.engines.rq import FAILURE_TTL_SECONDS
from gristmill.errors import GristmillError, InvalidInput
from gristmill.ids import content_hash
from gristmill.logs import get_log
from gristmill.tasks.model import Task, TaskFilter, TaskState
from gristmill.worker.parking import PARKED_KIND, park
from gristmill.worker.rq.popper import Hint
from gristmill.worker.rq.reading import ENDED, Unreadable, call_of, is_ours, job_for, job_from, was_requeued

__all__ = ["Intake"]

_log = get_log(__name__)

_RETRIABLE = (TaskState.FAILED, TaskState.CANCELLED)


class Intake:
    """Looks at hints; every one leaves as a job to follow, or as something that has been dealt with."""

    def __init__(self, app: Gristmill, connection: Redis) -> None:
        self._app = app
        self._connection = connection

    def look(self, hints: Sequence[Hint]) -> list[tuple[Hint, Job | None]]:
        """Each of ``hints`` with its job, or None where there is nothing to follow; may be repeated."""
        ids = sorted({hint.task_id for hint in hints if hint.task_id is not None})
        with self._connection.pipeline(transaction=False) as pipeline:
            for task_id in ids:
                pipeline.hgetall(Job.key_for(task_id))
            # One may be of another type, if it is not RQ's.
            answers = pipeline.execute(raise_on_error=False)
        stored = {task_id: answer for task_id, answer in zip(ids, answers, strict=True) if isinstance(answer, dict)}
        rows = {task.id: task for task in self._app.store.get_many(ids)}
        looked: list[tuple[Hint, Job | None]] = []
        for hint in hints:
            named = hint.task_id
            if named is None:
                self._park(hint, content_hash(hint.raw)[:32], "no id of a job")
                looked.append((hint, None))
                continue
            looked.append((hint, self._job(hint, named, rows.get(named), stored.get(named, {}))))
        return looked

    def _job(self, hint: Hint, task_id: str, row: Task | None, stored: Mapping[bytes, bytes]) -> Job | None:
        try:
            return self._unknown(hint, task_id, stored) if row is None else self._known(row, stored)
        except (GristmillError, RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - anybody may have put anything there; it must not end the worker
            self._park(hint, task_id, type(error).__name__)
            return None

    def _known(self, row: Task, stored: Mapping[bytes, bytes]) -> Job | None:
        try:
            job = job_from(row.id, stored, self._connection)
        except Unreadable:
            job = job_for(row, self._connection)
        if row.engine != RQ:
            # It was given to another engine; RQ has nothing to show of it.
            _delete(job)
            return None
        if row.kind == PARKED_KIND and not row.state.is_final:
            self._park(Hint(row.id.encode(), row.queue), row.id, "not JSON")
        if was_requeued(job):
            if row.state in _RETRIABLE:
                self._app.store.retry(TaskFilter(ids=[row.id]))
            job.meta = {name: value for name, value in job.meta.items() if name != ENDED}
            return job
        return None if row.state.is_final and job.meta.get(ENDED) == row.state.value else job

    def _unknown(self, hint: Hint, task_id: str, stored: Mapping[bytes, bytes]) -> Job | None:
        if not stored:
            # Its job has expired, or was deleted by RQ's means: neither row nor message is there.
            _log.warning("rq.hint_without_job", queue=hint.queue, job=task_id)
            return None
        try:
            job = job_from(task_id, stored, self._connection)
        except Unreadable as error:
            self._park(hint, task_id, error.reason)
            self._connection.expire(Job.key_for(task_id), FAILURE_TTL_SECONDS)
            return None
        if is_ours(job):
            _log.warning("rq.job_without_row", queue=hint.queue, job=task_id)
            _delete(job)
            return None
        self._submit(hint, job)
        return job

    def _submit(self, hint: Hint, job: Job) -> None:
        """Make a row of what somebody asked RQ for; a failed one of what nobody could do."""
        try:
            call = call_of(job, self._app.kinds)
            draft = self._app.tasks.draft(call.kind, call.payload, task_id=job.id)
        except Unreadable as error:
            self._park(hint, job.id, error.reason, error.name)
        except InvalidInput as error:
            self._park(hint, job.id, str(error), job.func_name or "")
        else:
            # Not told to any engine: the job is here, and another message would write over it.
            self._app.store.add([replace(draft, engine=RQ)])
            _log.info("rq.job_submitted", task_id=job.id, kind=call.kind)

    def _park(self, hint: Hint, task_id: str, reason: str, name: str = "") -> None:
        park(self._app, task_id, engine=RQ, queue=hint.queue, reason=reason, name=name)
        _log.warning("rq.job_parked", queue=hint.queue, task_id=task_id, reason=reason)


def _delete(job: Job) -> None:
    with suppress(InvalidJobOperation):
        # Raised where there is no such job any more: it may have been hinted at twice.
        job.delete()
