"""Follows the rows of tasks that a message told of: what became of each, in one query for all of them."""

import threading
from collections.abc import Iterable

from gristmill.tasks.model import Task, TaskState
from gristmill.tasks.ports import TaskStore

__all__ = ["Followed"]


class Followed:
    """The tasks a front has received messages about and which have not ended; safe to use from several threads."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._states: dict[str, TaskState] = {}

    def __len__(self) -> int:
        return len(self._states)

    @property
    def waiting(self) -> int:
        """How many of them nobody has claimed yet."""
        with self._lock:
            return sum(state is TaskState.PENDING for state in self._states.values())

    def follow(self, ids: Iterable[str]) -> None:
        """Begin with these: until :meth:`look` says otherwise, they count as waiting."""
        with self._lock:
            for task_id in ids:
                self._states.setdefault(task_id, TaskState.PENDING)

    def forget(self, ids: Iterable[str]) -> None:
        """Follow these no longer."""
        with self._lock:
            for task_id in ids:
                self._states.pop(task_id, None)

    def look(self) -> list[Task]:
        """Those whose state is another than at the last look; they are forgotten once they have ended.

        A task without a row is not followed any longer either; nothing is said of it.
        """
        with self._lock:
            ids = list(self._states)
        if not ids:
            return []
        found = {task.id: task for task in self._store.get_many(ids)}
        changed = []
        with self._lock:
            for task_id in ids:
                task, state = found.get(task_id), self._states.get(task_id)
                if task is None or task.state.is_final:
                    self._states.pop(task_id, None)
                elif state is not None:
                    self._states[task_id] = task.state
                if task is not None and state is not None and task.state is not state:
                    changed.append(task)
        return changed
