"""What goes on with tasks, as it happens: their events in order, and how far those are that run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gristmill.clock import Clock
from gristmill.tasks.model import Event, Progress, Task, TaskFilter, TaskState
from gristmill.tasks.ports import TaskStore

__all__ = ["Feed", "Update", "Wanted", "missed"]

_EVENTS = 1000
_RUNNING = 500
"""Tasks whose progress is followed; a parent that waits for its children counts as one."""
_PROGRESS_SECONDS = 0.25
"""Handlers write their progress no more often than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which tasks somebody watches; an empty field means any."""

    task_id: str | None = None
    kinds: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    collection: str | None = None
    parent_id: str | None = None

    def includes(self, task: Task) -> bool:
        """Whether ``task`` is one of them."""
        return (
            self.task_id in (None, task.id)
            and (not self.kinds or task.kind in self.kinds)
            and (not self.queues or task.queue in self.queues)
            and (not self.engines or task.engine in self.engines)
            and self.collection in (None, task.collection)
            and self.parent_id in (None, task.parent_id)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What has happened since a moment."""

    cursor: int
    """The ``seq`` up to which every event has been told."""
    events: Sequence[Event] = ()
    tasks: Mapping[str, Task]
    """The tasks of the events, as they are now; one that was forgotten since is absent."""
    running: Sequence[Task] = ()
    """Tasks of which no event tells, but which are further now."""

    def of(self, wanted: Wanted) -> "Update":
        """The part of it that concerns ``wanted``."""
        tasks = {task_id: task for task_id, task in self.tasks.items() if wanted.includes(task)}
        return Update(
            cursor=self.cursor,
            events=[event for event in self.events if event.task_id in tasks],
            tasks=tasks,
            running=[task for task in self.running if wanted.includes(task)],
        )

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.events or self.running)


class Feed:
    """Follows all tasks from now on, or from what happened ``after`` a moment; for one thread at a time."""

    def __init__(self, store: TaskStore, clock: Clock, *, after: int | None = None) -> None:
        self._store = store
        self._clock = clock
        self._tail = store.tail(after=after)
        self._progress: dict[str, Progress] = {}
        """Of the tasks that run, as it was told, or else as it was when they were first seen."""
        self._looked_at = float("-inf")

    @property
    def cursor(self) -> int | None:
        """Where the next update begins; None until the first look has found out."""
        return self._tail.position

    def look(self) -> Update | None:
        """What has happened since the last look; None while it is not known where that begins.

        What it had read when it raised is not told later: whoever goes on begins anew after the last update.
        """
        events = self._tail.read(limit=_EVENTS)
        cursor = self._tail.position
        if cursor is None:
            return None
        tasks = _tasks_of(self._store, events)
        running = [task for task in self._moved() if task.id not in tasks]
        # What is told of those with events, which may be less than was found a moment later.
        self._progress.update((task.id, task.progress) for task in tasks.values() if not task.state.is_final)
        return Update(cursor=cursor, events=events, tasks=tasks, running=running)

    def _moved(self) -> list[Task]:
        now = self._clock.monotonic()
        if now - self._looked_at < _PROGRESS_SECONDS:
            return []
        self._looked_at = now
        found = self._store.find(TaskFilter(states=[TaskState.PROCESSING]), limit=_RUNNING)
        moved = [task for task in found if self._progress.get(task.id) not in (None, task.progress)]
        self._progress = {task.id: task.progress for task in found}
        return moved


def missed(store: TaskStore, wanted: Wanted, *, after: int, until: int | None) -> Update:
    """A page of the events about ``wanted`` behind ``after``, oldest first.

    Up to ``until``, which a feed has told of: below it nothing is added. Without it, ``wanted`` has to be one task,
    whose events come in order by themselves.
    """
    events = store.events(wanted.task_id, after=after, limit=_EVENTS)
    told = [event for event in events if until is None or event.seq <= until]
    is_all = len(told) < len(events) or len(events) < _EVENTS
    cursor = until if is_all and until is not None else max([after, *(event.seq for event in told[-1:])])
    return Update(cursor=cursor, events=told, tasks=_tasks_of(store, told)).of(wanted)


def _tasks_of(store: TaskStore, events: Sequence[Event]) -> dict[str, Task]:
    ids = list(dict.fromkeys(event.task_id for event in events))
    return {task.id: task for task in store.get_many(ids)} if ids else {}
