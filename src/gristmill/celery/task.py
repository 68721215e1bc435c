"""The base of our Celery tasks: calling one writes a row, which is the task; its message only says where to look."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from celery import Task
from celery.result import AsyncResult

from gristmill.celery.arguments import draft_from
from gristmill.celery.opened import gristmill
from gristmill.errors import InvalidInput

__all__ = ["KindTask"]


class KindTask(Task):  # type: ignore[misc]  # Published without types.
    """Submits tasks of one kind. The function it was made of is never run."""

    abstract = True
    kind: str
    Strategy = "gristmill.worker.celery.consumer:strategy"
    typing = False
    ignore_result = True

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """Submit a task; durable when this returns, whether or not the broker can be reached.

        Understands ``task_id`` (a task with this id is submitted once, however often this is called), ``priority`` (0
        to 9, the most urgent), ``countdown``, ``eta``, ``queue``, ``time_limit`` and ``soft_time_limit``. Raises
        :class:`InvalidInput` for arguments that do not fit the kind, and for what Celery would do by other means:
        ``expires``, ``link``, ``link_error``, chains and chords.
        """
        app = gristmill()
        (task,) = app.tasks.submit_all([draft_from(app, self.kind, args, kwargs, options)])
        return self.AsyncResult(task.id)

    def apply(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refused: a task runs in a worker, which can stop it."""
        raise InvalidInput("celery_runs_in_worker", task=self.name)

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refused, as :meth:`apply` is."""
        raise InvalidInput("celery_runs_in_worker", task=self.name)
