"""What a Celery worker does with its messages: rings the bell, makes rows of what strangers sent, follows the rest.

A message is acknowledged when its row has been claimed, whoever did that. Used by the thread of Celery's event loop
alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gristmill.app import Gristmill
from gristmill.celery.arguments import draft_from
from gristmill.engines.policy import CELERY
from gristmill.errors import GristmillError, InvalidInput
from gristmill.logs import get_log
from gristmill.tasks.model import Task
from gristmill.worker.celery.announcer import Announcer
from gristmill.worker.followed import Followed
from gristmill.worker.parking import park

__all__ = ["Front", "Hint"]

_log = get_log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One message that names a task."""

    task_id: str
    kind: str
    queue: str
    ack: Callable[[], None]
    call: Callable[[], tuple[Sequence[Any], Mapping[str, Any], Mapping[str, Any]]] | None
    """Reads arguments and options out of a message that a stranger sent; None for one of ours."""


class Front:
    """The messages one worker holds."""

    def __init__(self, app: Gristmill, announcer: Announcer) -> None:
        self._app = app
        self._announcer = announcer
        self._followed = Followed(app.store)
        self._fresh: list[Hint] = []
        self._held: dict[str, list[Hint]] = {}
        self._unreadable: list[tuple[str, str, str, str, Callable[[], None]]] = []
        self._is_well = True

    @property
    def waiting(self) -> list[str]:
        """The ids of tasks that were announced here and that nobody has claimed."""
        return [*self._held, *(hint.task_id for hint in self._fresh)]

    def receive(self, hint: Hint) -> None:
        """Take a message; what becomes of it is decided at the next turn."""
        self._fresh.append(hint)

    def receive_unreadable(self, task_id: str, *, queue: str, reason: str, name: str, ack: Callable[[], None]) -> None:
        """Take what is no message for any task of ours, to be parked under ``task_id``."""
        self._unreadable.append((task_id, queue, reason, name, ack))

    def let_go(self) -> None:
        """Forget how to acknowledge: the connection is gone, and the broker will deliver these again."""
        self._fresh.clear()
        self._held.clear()

    def turn(self) -> None:
        """Look at what has come, and at what has become of the rest."""
        try:
            self._park()
            self._look_at_fresh()
            for task in self._followed.look():
                self._acknowledge(task.id)
                self._announcer.changed(task)
        except GristmillError as error:
            # Everything is where it was; the next turn goes on with it.
            if self._is_well:
                _log.warning("celery.turn_failed", error=str(error))
            self._is_well = False
        else:
            self._is_well = True

    def _look_at_fresh(self) -> None:
        if not self._fresh:
            return
        self._app.bell.ring()
        rows = {task.id: task for task in self._app.store.get_many([hint.task_id for hint in self._fresh])}
        while self._fresh:
            hint = self._fresh[0]
            row = rows.get(hint.task_id) or self._submitted(hint)
            self._fresh.pop(0)
            if row is None or row.engine != CELERY:
                # Forgotten by now, parked, or given to another engine.
                hint.ack()
                continue
            rows[row.id] = row
            if row.id not in self._held:
                self._announcer.received(row)
            self._held.setdefault(row.id, []).append(hint)
            self._followed.follow([row.id])

    def _submitted(self, hint: Hint) -> Task | None:
        """The row of a task that a stranger sent; None if it makes none."""
        if hint.call is None:
            return None
        try:
            args, kwargs, options = hint.call()
            draft = draft_from(self._app, hint.kind, args, kwargs, {**options, "task_id": hint.task_id})
        except InvalidInput as error:
            self._park_one(hint.task_id, hint.queue, str(error), hint.kind)
            return None
        # Not told to any engine: its message is here.
        (task,) = self._app.store.add([replace(draft, engine=CELERY, queue=hint.queue)])
        self._app.bell.ring()
        _log.info("celery.message_submitted", task_id=task.id, kind=task.kind)
        return task

    def _park(self) -> None:
        while self._unreadable:
            task_id, queue, reason, name, ack = self._unreadable[0]
            self._park_one(task_id, queue, reason, name)
            self._unreadable.pop(0)
            ack()

    def _park_one(self, task_id: str, queue: str, reason: str, name: str) -> None:
        park(self._app, task_id, engine=CELERY, queue=queue, reason=reason, name=name)
        _log.warning("celery.message_parked", queue=queue, task_id=task_id, reason=reason)

    def _acknowledge(self, task_id: str) -> None:
        for hint in self._held.pop(task_id, []):
            hint.ack()
