"""One job as RQ shows it: what its row says, told in RQ's states, registries and results."""

from typing import Any, TypeVar

from redis.client import Pipeline
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.registry import BaseRegistry, CanceledJobRegistry, FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry
from rq.results import Result

from gristmill.clock import from_micros
from gristmill.engines.rq import FAILURE_TTL_SECONDS, RESULT_TTL_SECONDS
from gristmill.tasks.model import Task, TaskState
from gristmill.worker.rq.reading import ENDED
from gristmill.worker.rq.seat import Seat

__all__ = ["Shown"]

_Registry = TypeVar("_Registry", bound=BaseRegistry)

_STATUSES = {
    TaskState.COMPLETED: JobStatus.FINISHED,
    TaskState.FAILED: JobStatus.FAILED,
    TaskState.CANCELLED: JobStatus.CANCELED,
}


class Shown:
    """A job that this front has taken from its queue."""

    def __init__(self, job: Job, seat: Seat) -> None:
        self.job = job
        self.seat = seat
        self.waits = True
        """Whether nobody has claimed its row yet."""
        self._execution: Execution | None = None

    def taken(self, pipeline: Pipeline) -> None:
        """Note who has it: commands for the job go there, and when that worker is gone, others put it back."""
        pipeline.hset(self.job.key, "worker_name", self.seat.name)
        self.job.worker_name = self.seat.name

    def start(self, task: Task, pipeline: Pipeline) -> None:
        """Its row was claimed."""
        if self._execution is None:
            self._execution = self.seat.begin(self.job)
        self.waits = False
        self._settle(pipeline, besides=None)
        self._write(task, JobStatus.STARTED, pipeline)

    def beat(self, pipeline: Pipeline) -> None:
        """It still runs."""
        if self._execution is not None:
            self.seat.go_on(self.job, self._execution, pipeline)

    def list_again(self, pipeline: Pipeline) -> None:
        """It still runs, and the server has forgotten it."""
        if self._execution is not None:
            self._execution = self.seat.begin(self.job)
            self.job.save(pipeline=pipeline, include_result=False)

    def end(self, task: Task, pipeline: Pipeline, *, language: str) -> None:
        """Its row has ended."""
        job, status = self.job, _STATUSES[task.state]
        ttl = job.get_result_ttl(RESULT_TTL_SECONDS)
        if status is not JobStatus.FINISHED:
            ttl = FAILURE_TTL_SECONDS if job.failure_ttl is None else job.failure_ttl
        if ttl == 0:
            self.drop(pipeline)
            return
        self._stop(pipeline)
        job.meta = {**job.meta, ENDED: task.state.value}
        self._settle(pipeline, besides=status)
        self._write(task, status, pipeline)
        match status:
            case JobStatus.FINISHED:
                self._finish(task, ttl, pipeline)
            case JobStatus.FAILED:
                self._fail(task, ttl, pipeline, language)
            case _:
                self._registry(CanceledJobRegistry).add(job, pipeline=pipeline)
        job.cleanup(ttl=ttl, pipeline=pipeline, remove_from_queue=False)
        self.seat.count(
            pipeline, success=status is JobStatus.FINISHED, started_at=job.started_at, ended_at=job.ended_at
        )

    def _finish(self, task: Task, ttl: int, pipeline: Pipeline) -> None:
        # What the task made stays with its row: a broker is no place for it.
        progress = task.progress
        summary = {
            "task_id": task.id,
            "state": task.state.value,
            "done": progress.done,
            "failed": progress.failed,
            "skipped": progress.skipped,
        }
        Result.create(
            self.job, Result.Type.SUCCESSFUL, ttl, return_value=summary, worker_name=self.seat.name, pipeline=pipeline
        )
        self._registry(FinishedJobRegistry).add(self.job, ttl, pipeline=pipeline)

    def _fail(self, task: Task, ttl: int, pipeline: Pipeline, language: str) -> None:
        error = task.error
        text = "failed" if error is None else f"{error.code}: {error.message(language)}"
        self._registry(FailedJobRegistry).add(self.job, ttl=ttl, exc_string=text, pipeline=pipeline)
        Result.create_failure(self.job, ttl, text, worker_name=self.seat.name, pipeline=pipeline)

    def wait(self, task: Task, pipeline: Pipeline) -> None:
        """Its row waits again: to be claimed, or, with a time ahead, to become due."""
        self._stop(pipeline)
        self.waits = True
        if task.due or task.scheduled_at is None:
            pipeline.rpush(self.seat.queue.intermediate_queue_key, self.job.id)
            self._write(task, JobStatus.QUEUED, pipeline)
            return
        self._settle(pipeline, besides=JobStatus.SCHEDULED)
        self._write(task, JobStatus.SCHEDULED, pipeline)
        due_at = from_micros(task.scheduled_at)
        self._registry(ScheduledJobRegistry).schedule(self.job, due_at, pipeline=pipeline)

    def put_back(self, pipeline: Pipeline) -> None:
        """Leave it to another worker."""
        self._stop(pipeline)
        self._settle(pipeline, besides=None)
        self.job.worker_name = None
        pipeline.hset(self.job.key, mapping={"status": JobStatus.QUEUED, "worker_name": ""})
        self.seat.queue.push_job_id(self.job.id, pipeline=pipeline, at_front=True)

    def drop(self, pipeline: Pipeline) -> None:
        """Its row is gone, or runs elsewhere: RQ has nothing to show any more."""
        self._stop(pipeline)
        self._settle(pipeline, besides=None)
        results: Any = Result
        pipeline.delete(self.job.key, results.get_key(self.job.id))

    def _stop(self, pipeline: Pipeline) -> None:
        execution, self._execution = self._execution, None
        if execution is not None:
            self.seat.end(self.job, execution, pipeline)

    def _settle(self, pipeline: Pipeline, *, besides: JobStatus | None) -> None:
        """Take it out of every list that it is not in any more, all the copies of it."""
        queue = self.seat.queue
        pipeline.lrem(queue.intermediate_queue_key, 0, self.job.id)
        for status, registry in (
            (JobStatus.FINISHED, FinishedJobRegistry),
            (JobStatus.FAILED, FailedJobRegistry),
            (JobStatus.CANCELED, CanceledJobRegistry),
            (JobStatus.SCHEDULED, ScheduledJobRegistry),
        ):
            if status is not besides:
                pipeline.zrem(self._registry(registry).key, self.job.id)

    def _registry(self, registry: type[_Registry]) -> _Registry:
        return registry(queue=self.seat.queue, job_class=type(self.job))

    def _write(self, task: Task, status: JobStatus, pipeline: Pipeline) -> None:
        job = self.job
        job.started_at = None if task.started_at is None else from_micros(task.started_at)
        job.ended_at = None if task.finished_at is None else from_micros(task.finished_at)
        job.worker_name = self.seat.name
        job.set_status(status, pipeline=pipeline)
        # All of it: the server may have forgotten the job.
        job.save(pipeline=pipeline, include_result=False)
        pipeline.expire(job.key, FAILURE_TTL_SECONDS)
