"""The jobs in this front's hands: taken from the queues, followed by their rows, told of to RQ."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from redis import Redis
from redis.client import Pipeline

from gristmill.app import Gristmill
from gristmill.engines.policy import RQ
from gristmill.tasks.model import Task, TaskFilter, TaskState
from gristmill.worker.followed import Followed
from gristmill.worker.rq.intake import Intake
from gristmill.worker.rq.popper import Hint, Popper
from gristmill.worker.rq.seat import Seat
from gristmill.worker.rq.shown import Shown

__all__ = ["Desk"]

_LETS_OTHERS_GO_ON = (TaskState.COMPLETED, TaskState.FAILED)
"""Where RQ looks whether the jobs that depend on one may run; those that may not after a failure go on waiting."""


class Desk:
    """Used by one thread. What a failure interrupts is done again at the next call, or by :class:`Ghosts`."""

    def __init__(
        self, app: Gristmill, connection: Redis, seats: Mapping[str, Seat], poppers: Mapping[str, Popper]
    ) -> None:
        self._app = app
        self._connection = connection
        self._seats = seats
        self._poppers = poppers
        self._intake = Intake(app, connection)
        self._followed = Followed(app.store)
        self._shown: dict[str, Shown] = {}
        self._untold: dict[str, Task] = {}
        """News that RQ could not be told of yet."""

    def __len__(self) -> int:
        return len(self._shown)

    def has(self, task_id: str) -> bool:
        """Whether the job is in our hands."""
        return task_id in self._shown

    def take(self, hints: Sequence[Hint]) -> None:
        """Deal with ``hints`` that the poppers delivered; may be repeated until it succeeds."""
        fresh: dict[str, Shown] = {}
        let_go: list[Hint] = []
        with self._connection.pipeline(transaction=False) as pipeline:
            for hint, job in self._intake.look(hints):
                key = self._seats[hint.queue].queue.intermediate_queue_key
                raw: Any = hint.raw
                if job is None:
                    pipeline.lrem(key, 0, raw)
                    let_go.append(hint)
                elif job.id in self._shown or job.id in fresh:
                    # Delivered again; one copy stays in the list until the row is claimed.
                    pipeline.lrem(key, 1, raw)
                    let_go.append(hint)
                else:
                    fresh[job.id] = Shown(job, self._seats[hint.queue])
                    fresh[job.id].taken(pipeline)
            pipeline.execute()
        self._shown |= fresh
        self._followed.follow(fresh)
        for hint in let_go:
            self._poppers[hint.queue].let_go()

    def tell(self) -> None:
        """Tell RQ what has become of the rows."""
        self._untold |= {task.id: task for task in self._followed.look()}
        news = [task for task in self._untold.values() if task.id in self._shown]
        if news:
            with self._connection.pipeline(transaction=False) as pipeline:
                for task in news:
                    self._tell(task, self._shown[task.id], pipeline)
                pipeline.execute()
            self._go_on_behind([self._shown[task.id] for task in news if task.state in _LETS_OTHERS_GO_ON])
        self._untold.clear()
        self._forget(task.id for task in news if task.state.is_final or _is_delayed(task))
        if len(self._followed) != len(self._shown):
            self._drop_rowless()

    def _tell(self, task: Task, shown: Shown, pipeline: Pipeline) -> None:
        waited = shown.waits
        if task.state.is_final:
            shown.end(task, pipeline, language=self._app.settings.language)
        elif task.state is TaskState.PROCESSING:
            shown.start(task, pipeline)
        else:
            shown.wait(task, pipeline)
        popper = self._poppers[shown.seat.queue.name]
        if waited and not shown.waits:
            popper.let_go()
        elif shown.waits and not waited:
            popper.hold()

    def _go_on_behind(self, ended: Sequence[Shown]) -> None:
        """Queue the jobs of other programs that were to wait for these, as every worker of RQ does."""
        with self._connection.pipeline(transaction=False) as pipeline:
            for shown in ended:
                pipeline.exists(shown.job.dependents_key)
            waited_for = pipeline.execute()
        for shown, is_waited_for in zip(ended, waited_for, strict=True):
            if is_waited_for:
                shown.seat.queue.enqueue_dependents(shown.job)

    def _forget(self, ids: Iterable[str]) -> None:
        gone = [(task_id, shown) for task_id in ids if (shown := self._shown.pop(task_id, None)) is not None]
        self._followed.forget(task_id for task_id, _ in gone)
        for _, shown in gone:
            if shown.waits:
                self._poppers[shown.seat.queue.name].let_go()

    def _drop_rowless(self) -> None:
        """Rows that were forgotten altogether are followed no longer, and nobody says so."""
        there = {task.id for task in self._app.store.get_many(list(self._shown))}
        gone = [task_id for task_id in self._shown if task_id not in there]
        with self._connection.pipeline(transaction=False) as pipeline:
            for task_id in gone:
                self._shown[task_id].drop(pipeline)
            pipeline.execute()
        self._forget(gone)

    def look_again(self, hints: Sequence[Hint]) -> None:
        """Take ``hints`` of jobs that RQ lists as failed, if their rows say anything else."""
        rows = {task.id: task for task in self._app.store.get_many([hint.task_id or "" for hint in hints])}
        wrong = [
            hint
            for hint in hints
            if (row := rows.get(hint.task_id or "")) is not None
            and row.state is not TaskState.FAILED
            and row.engine == RQ
        ]
        for hint in wrong:
            self._poppers[hint.queue].hold()
        if wrong:
            self.take(wrong)

    def beat(self) -> None:
        """Say that the workers and the running jobs are there."""
        running = [shown for shown in self._shown.values() if not shown.waits]
        busy = {shown.seat.name for shown in running}
        with self._connection.pipeline(transaction=False) as pipeline:
            for shown in running:
                pipeline.exists(shown.job.key)
            known = pipeline.execute()
            for seat in self._seats.values():
                seat.beat(pipeline, busy=seat.name in busy)
            for shown, is_known in zip(running, known, strict=True):
                if is_known:
                    shown.beat(pipeline)
                else:
                    shown.list_again(pipeline)
            pipeline.execute()

    def cancel(self, ids: Sequence[str]) -> None:
        """Ask the tasks to stop, those that are RQ's."""
        self._app.tasks.cancel(TaskFilter(ids=ids, engines=[RQ]))

    def leave(self) -> None:
        """Give back what has not ended, and say that the workers are gone."""
        with self._connection.pipeline(transaction=False) as pipeline:
            for shown in self._shown.values():
                shown.put_back(pipeline)
            for seat in self._seats.values():
                seat.leave(pipeline)
            pipeline.execute()


def _is_delayed(task: Task) -> bool:
    return task.state is TaskState.PENDING and not task.due
