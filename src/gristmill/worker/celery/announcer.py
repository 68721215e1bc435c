"""Tells Celery's monitors what rows say, in events that Flower and ``celery events`` understand.

An event carries the name of a task, its ids and numbers, never the rest of its payload: a broker is no place for that.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from celery.events import Event
from celery.worker import state

from gristmill.clock import from_micros
from gristmill.engines.celery import task_name
from gristmill.tasks.model import Json, Task, TaskState
from gristmill.tasks.ports import TaskStore

__all__ = ["Announcer", "shown_arguments"]

_MICROS = 1_000_000
_MOST_IDS = 20
_NAMES_SECONDS = 1.0
"""How often the registered workers are read to learn the name of a strange one."""


def shown_arguments(payload: Json) -> str:
    """The ids, numbers and switches of a payload, as Celery writes keyword arguments."""
    shown = {name: _shown(value) for name, value in payload.items()}
    return repr({name: value for name, value in shown.items() if value is not None})


def _shown(value: object) -> object:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return value if len(value) <= _MOST_IDS else [*value[:_MOST_IDS], "..."]
    return None


class Announcer:
    """Sends the events of one front, in the name of the worker that runs the task."""

    def __init__(self, store: TaskStore, dispatcher: Callable[[], Any], *, name: str) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._name = name
        self._names: Mapping[str, str] = {}
        self._names_at = float("-inf")
        self._running: dict[str, _Running] = {}

    def received(self, task: Task) -> None:
        """A message about the task has come."""
        eta = from_micros(task.scheduled_at).isoformat() if task.scheduled_at is not None else None
        self._send(
            "task-received",
            task,
            self._name,
            name=task_name(task.kind),
            args="()",
            kwargs=shown_arguments(task.payload),
            root_id=task.id,
            parent_id=task.parent_id,
            retries=max(0, task.attempt - 1),
            eta=eta,
            expires=None,
            # A slot may have been quicker than its message.
            at=task.started_at,
        )

    def changed(self, task: Task) -> None:
        """The task has another state than before."""
        worker = self._worker_of(task)
        if task.started_at is not None and task.state is not TaskState.PENDING and task.id not in self._running:
            self._begin(task, worker)
        if task.state is TaskState.PROCESSING:
            return
        self._running.pop(task.id, None)
        match task.state:
            case TaskState.COMPLETED:
                runtime = ((task.finished_at or 0) - (task.started_at or 0)) / _MICROS
                self._send("task-succeeded", task, worker, result=_summary(task), runtime=runtime)
            case TaskState.FAILED:
                self._send("task-failed", task, worker, exception=_exception(task), traceback="")
            case TaskState.CANCELLED:
                terminated = task.started_at is not None
                self._send("task-revoked", task, worker, terminated=terminated, signum=None, expired=False)
            case _:
                self._send("task-retried", task, worker, exception=_exception(task), traceback="")

    def _begin(self, task: Task, worker: str) -> None:
        self._running[task.id] = running = _Running(task)
        self._send("task-started", task, worker, at=task.started_at)
        if worker == self._name:
            # What the heartbeat of this worker says it has to do, and has done.
            state.active_requests.add(running)
            state.total_count[running.name] += 1
            state.all_total_count[0] += 1

    def _send(self, event: str, task: Task, worker: str, *, at: int | None = None, **facts: Any) -> None:
        dispatcher = self._dispatcher()
        if dispatcher is None:
            return

        def in_the_name_of_worker(type: str, hostname: str, **fields: Any) -> Any:  # noqa: A002 - Celery's name
            del hostname
            return Event(type, hostname=worker, **fields)

        timestamp = time.time() if at is None else at / _MICROS
        dispatcher.send(event, Event=in_the_name_of_worker, uuid=task.id, timestamp=timestamp, **facts)

    def _worker_of(self, task: Task) -> str:
        worker_id = task.worker_id
        if worker_id is None:
            return self._name
        now = time.monotonic()
        if worker_id not in self._names and now - self._names_at > _NAMES_SECONDS:
            self._names = {worker.id: worker.name for worker in self._store.workers()}
            self._names_at = now
        return self._names.get(worker_id, self._name)


class _Running:
    """Stands in Celery's list of active requests for a task that a slot of this worker runs."""

    # What Celery leaves alone at a shutdown: the crew gives it back.
    acks_late = True
    acknowledged = True

    def __init__(self, task: Task) -> None:
        self.id = task.id
        self.name = task_name(task.kind)
        self.task = self


def _summary(task: Task) -> str:
    return repr({name: value for name, value in (task.result or {}).items() if isinstance(value, bool | int | float)})


def _exception(task: Task) -> str:
    return "" if task.error is None else f"{task.error.type}({task.error.code!r})"
