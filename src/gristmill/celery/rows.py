"""Answers what Celery asks of a result backend from the rows. Nothing is ever stored through it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from celery import states
from celery.backends.base import BaseBackend
from celery.exceptions import TaskRevokedError

from gristmill.celery.opened import gristmill
from gristmill.engines.celery_states import celery_state, percent
from gristmill.errors import GristmillError, error_from
from gristmill.tasks.model import Task

__all__ = ["Rows"]

_LOOK_SECONDS = 0.1


class Rows(BaseBackend):  # type: ignore[misc]  # Published without types.
    """``state``, ``ready()`` and ``get()`` of an ``AsyncResult``, read off the task's row."""

    supports_native_join = False

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - Celery's
        """State and result; a task that does not exist is PENDING, as it is for Celery."""
        del cache
        found = gristmill().store.get_many([task_id])
        return _meta(found[0]) if found else {"task_id": task_id, "status": states.PENDING, "result": None}

    def get_many(
        self, task_ids: Sequence[str], timeout: float | None = None, interval: float = 0.5, **options: Any
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Each task with its state and result, once it has ended."""
        for task_id in task_ids:
            yield task_id, self.wait_for(task_id, timeout=timeout, interval=interval, **options)

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,  # noqa: FBT001, FBT002 - Celery's signature
        on_interval: Any = None,
        **_: Any,
    ) -> Mapping[str, Any]:
        """State and result once the task has ended; Celery's ``TimeoutError`` if that takes too long."""
        meta: Mapping[str, Any] = super().wait_for(
            task_id, timeout=timeout, interval=min(interval, _LOOK_SECONDS), no_ack=no_ack, on_interval=on_interval
        )
        return meta

    def store_result(self, task_id: str, result: Any, state: str, *_args: Any, **_options: Any) -> Any:
        """Nothing: what a row says is decided by who holds it."""
        del task_id, state
        return result

    def forget(self, task_id: str) -> None:
        """Nothing: rows are kept as history."""
        del task_id

    def as_uri(self, include_password: bool = False) -> str:  # noqa: FBT001, FBT002 - Celery's signature
        """What a worker shows as the place of its results."""
        del include_password
        return "rows of Gristmill"


def _meta(task: Task) -> dict[str, Any]:
    state = celery_state(task, progress=True)
    return {"task_id": task.id, "status": state, "result": _result(task, state), "name": task.kind, "children": []}


def _result(task: Task, state: str) -> Any:
    match state:
        case states.SUCCESS:
            return dict(task.result or {})
        case states.FAILURE:
            return _error(task)
        case states.REVOKED:
            return TaskRevokedError("cancelled")
        case "PROGRESS":
            done, total = task.progress.processed, task.progress.total
            return {"progress": percent(task), "current": done, "total": total, "status": task.progress.stage}
        case _:
            return None


def _error(task: Task) -> GristmillError:
    if task.error is None:
        return GristmillError("task_failed")
    return error_from(task.error.type, task.error.code, task.error.facts)
