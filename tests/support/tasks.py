"""Short ways to bring tasks of a store into every state, so that a test's text is only about what it tests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gristmill.ids import new_id
from gristmill.tasks.model import (
    Cancelled,
    Completed,
    Event,
    Failed,
    Lost,
    NewTask,
    Outcome,
    Progress,
    Released,
    Retried,
    Task,
    TaskError,
    TaskFilter,
    TaskState,
    Waiting,
    Worker,
)
from gristmill.tasks.ports import TaskStore

__all__ = ["ERROR", "OUTCOMES", "STATES", "WORKER", "Bench", "new_task", "new_worker"]

WORKER = "worker-1"
ERROR = TaskError(code="task_failed_on_purpose")


def new_task(**values: Any) -> NewTask:
    """A task to be accepted; what a test does not name does not matter to it."""
    return NewTask(**{"id": new_id(), "kind": "ping", "queue": "default", "payload": {}, **values})


def new_worker(worker_id: str = WORKER, **values: Any) -> Worker:
    """A worker to be registered."""
    defaults: dict[str, Any] = {
        "name": f"local@{worker_id}",
        "engine": "local",
        "queues": ("default",),
        "slots": 1,
        "pid": 1,
        "host": "here",
    }
    return Worker(id=worker_id, **{**defaults, **values})


class Bench:
    """A store under test with one registered worker."""

    def __init__(self, store: TaskStore) -> None:
        self.store = store
        store.register_worker(new_worker())

    def add(self, **values: Any) -> Task:
        """Accept one task."""
        return self.store.add([new_task(**values)])[0]

    def take(self, task_id: str | None = None, *, worker: str = WORKER, **values: Any) -> Task:
        """Claim one task, which must be there."""
        (task,) = self.claim(worker=worker, ids=None if task_id is None else [task_id], **values)
        return task

    def claim(
        self,
        *,
        worker: str = WORKER,
        queues: Sequence[str] = ("default",),
        kinds: Sequence[str] = ("ping",),
        **values: Any,
    ) -> list[Task]:
        """Claim what there is."""
        return self.store.claim(worker, queues=queues, kinds=kinds, **values)

    def started(self, **values: Any) -> Task:
        """A task that runs."""
        return self.take(self.add(**values).id)

    def ended(self, outcome: Outcome, **values: Any) -> Task:
        """A task after an attempt that came to ``outcome``."""
        return self.end(self.started(**values), outcome)

    def end(self, task: Task, outcome: Outcome) -> Task:
        """``task`` after the end of its running attempt."""
        ended = self.store.finish(task.id, task.lease, outcome)
        assert ended is not None
        return ended

    def waiting(
        self, children: Sequence[NewTask] | int = 1, *, progress: Progress | None = None, **values: Any
    ) -> tuple[Task, list[Task]]:
        """A task that waits for children, and these; it counts in documents unless ``progress`` says otherwise."""
        parent = self.started(**values)
        if isinstance(children, int):
            children = [new_task() for _ in range(children)]
        spawn = [replace(child, parent_id=parent.id) for child in children]
        progress = progress or Progress(unit="documents", total=len(spawn))
        parent = self.end(parent, Waiting(spawn=spawn, progress=progress))
        return parent, self.store.get_many([child.id for child in spawn])

    def cancel(self, *task_ids: str) -> int:
        """Ask tasks to stop."""
        return self.store.request_cancel(TaskFilter(ids=task_ids))

    def retry(self, *task_ids: str) -> list[str]:
        """Run ended tasks again."""
        return self.store.retry(TaskFilter(ids=task_ids))

    def get(self, task: Task | str) -> Task:
        """The task as it is now."""
        return self.store.get(task if isinstance(task, str) else task.id)

    def events(self, task: Task | str) -> list[Event]:
        """All that happened to the task."""
        return self.store.events(task if isinstance(task, str) else task.id)

    def history(self, task: Task | str) -> list[str]:
        """The names of all that happened to the task."""
        return [event.name for event in self.events(task)]


def _cancel_asked(bench: Bench) -> Task:
    task = bench.started()
    bench.cancel(task.id)
    return bench.get(task)


STATES: Mapping[str, Callable[[Bench], Task]] = {
    "pending": lambda bench: bench.add(),
    "scheduled": lambda bench: bench.add(scheduled_at=2**52),
    "processing": lambda bench: bench.started(),
    "cancel_asked": _cancel_asked,
    "waiting": lambda bench: bench.waiting()[0],
    "completed": lambda bench: bench.ended(Completed(result={"n": 1}, items=[{"n": 1}])),
    "failed": lambda bench: bench.ended(Failed(error=ERROR)),
    "cancelled": lambda bench: bench.ended(Cancelled()),
}
"""A way into every state that tasks can be told apart by."""

OUTCOMES: Mapping[str, Callable[[Task], Outcome]] = {
    "completed": lambda _: Completed(result={"n": 2}),
    "failed": lambda _: Failed(error=TaskError(code="unexpected_error", facts={"error": "Other"})),
    "cancelled": lambda _: Cancelled(),
    "retried": lambda _: Retried(error=ERROR, delay_seconds=60.0),
    "lost": lambda _: Lost(reason="killed by SIGKILL"),
    "released": lambda _: Released(reason="worker shut down"),
    "waiting": lambda task: Waiting(spawn=[new_task(parent_id=task.id)], checkpoint={"n": 3}),
}
"""One outcome of each class."""

assert {state.value for state in TaskState} <= set(STATES)
