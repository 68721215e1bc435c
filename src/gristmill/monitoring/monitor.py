"""What an operator sees and does: workers, tasks at each point of their way, queues, health; cancel and purge.

Everything is read from the rows, so it is the same on every engine, and from every process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from gristmill.clock import Clock
from gristmill.errors import NotFound
from gristmill.messages import render
from gristmill.monitoring.presence import live_workers
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import Task, TaskFilter, TaskState, Worker
from gristmill.tasks.service import TaskService

__all__ = ["Depth", "Health", "Monitor", "QueueLength", "QueueRows", "WorkerSeen"]

_MOST = 1000
_PURGE_BATCH = 500


class Depth(Protocol):
    """The tasks of one queue, on one engine, that have not ended."""

    @property
    def queue(self) -> str:
        """Its name."""
        ...

    @property
    def engine(self) -> str:
        """Whose workers may claim them."""
        ...

    @property
    def ready(self) -> int:
        """Could be claimed now."""
        ...

    @property
    def scheduled(self) -> int:
        """Wait for their time."""
        ...

    @property
    def active(self) -> int:
        """Run, or wait for their children."""
        ...

    @property
    def oldest_ready_at(self) -> int | None:
        """Since when the one that has waited longest could have been claimed."""
        ...


class QueueRows(Protocol):
    """The rows of tasks that have not ended."""

    def depths(self) -> Sequence[Depth]:
        """What each queue of each engine holds; those that are empty are absent."""
        ...

    def running(self, *, limit: int) -> Sequence[Task]:
        """Tasks that a worker holds, those that began first at the front."""
        ...

    def ready(self, *, limit: int) -> Sequence[Task]:
        """Tasks that wait for a free slot, the most urgent at the front."""
        ...

    def scheduled(self, *, limit: int) -> Sequence[Task]:
        """Tasks that wait for their time, the nearest at the front."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLength:
    """One queue at one moment, on all engines together."""

    queue: str
    waiting: int = 0
    """Could be claimed now."""
    scheduled: int = 0
    """Wait for their time."""
    active: int = 0
    """Run, or wait for their children."""
    oldest_seconds: float | None = None
    """How long the one that waits longest could have been claimed."""


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A registered worker, and whether it lives."""

    worker: Worker
    alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether tasks get done."""

    active_workers: int
    worker_names: tuple[str, ...]
    fault: str | None = None
    """Message that says what is wrong; None while nothing is."""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> Literal["healthy", "unhealthy"]:
        """In one word."""
        return "healthy" if self.fault is None else "unhealthy"

    def reason(self, language: str = "en") -> str | None:
        """What is wrong and what to do about it."""
        return None if self.fault is None else render(self.fault, self.facts, language)


class Monitor:
    """A view of one Gristmill."""

    def __init__(
        self,
        tasks: TaskService,
        rows: QueueRows,
        workers: Callable[[], Sequence[Worker]],
        kinds: Mapping[str, Kind],
        clock: Clock,
        *,
        lease_seconds: float,
    ) -> None:
        self._tasks = tasks
        self._rows = rows
        self._workers = workers
        self._kinds = kinds
        self._clock = clock
        self._lease_seconds = lease_seconds

    def workers(self) -> list[WorkerSeen]:
        """All registered workers, and which of them live."""
        registered = self._workers()
        alive = {worker.id for worker in self._alive(registered)}
        return [WorkerSeen(worker, worker.id in alive) for worker in registered]

    def live_workers(self) -> list[Worker]:
        """The workers that live."""
        return self._alive(self._workers())

    def _alive(self, registered: Sequence[Worker]) -> list[Worker]:
        return live_workers(registered, now=self._clock.now(), lease_seconds=self._lease_seconds)

    def active(self, *, limit: int = _MOST) -> Sequence[Task]:
        """Tasks that are being worked on, those that began first at the front."""
        return self._rows.running(limit=limit)

    def reserved(self, *, limit: int = _MOST) -> Sequence[Task]:
        """Tasks that are ready and wait for a free slot, the most urgent at the front."""
        return self._rows.ready(limit=limit)

    def scheduled(self, *, limit: int = _MOST) -> Sequence[Task]:
        """Tasks that wait for their time, the nearest at the front."""
        return self._rows.scheduled(limit=limit)

    def registered(self) -> Sequence[Kind]:
        """The kinds of tasks there are, with their queues and limits."""
        return list(self._kinds.values())

    def counts(self) -> Mapping[TaskState, int]:
        """How many tasks are in each state; reads an entry for every task of the history."""
        return self._tasks.counts()

    def depths(self) -> Sequence[Depth]:
        """What each queue of each engine holds; those that are empty are absent."""
        return self._rows.depths()

    def queues(self) -> list[QueueLength]:
        """The queues that kinds are routed to, and all others that hold tasks."""
        depths = self._rows.depths()
        now = self._clock.now()
        lengths = []
        for queue in sorted({kind.queue for kind in self._kinds.values()} | {depth.queue for depth in depths}):
            mine = [depth for depth in depths if depth.queue == queue]
            since = [depth.oldest_ready_at for depth in mine if depth.oldest_ready_at is not None]
            lengths.append(
                QueueLength(
                    queue=queue,
                    waiting=sum(depth.ready for depth in mine),
                    scheduled=sum(depth.scheduled for depth in mine),
                    active=sum(depth.active for depth in mine),
                    oldest_seconds=max(0.0, (now - min(since)) / 1_000_000) if since else None,
                )
            )
        return lengths

    def purge(self, queue: str) -> int:
        """Cancel every task that waits in ``queue``, ready or scheduled; how many that were.

        What runs goes on. :class:`NotFound` (``queue_unknown``) for a name that means no queue.
        """
        known = [length.queue for length in self.queues()]
        if queue not in known:
            raise NotFound("queue_unknown", queue=queue, known=", ".join(known))
        waiting = TaskFilter(queues=[queue], states=[TaskState.PENDING])
        cancelled = 0
        before: int | None = None
        # From the newest down, in portions: others can write in between, and what is submitted meanwhile stays.
        while page := self._tasks.find(waiting, limit=_PURGE_BATCH, before=before):
            cancelled += self._tasks.cancel(TaskFilter(ids=[task.id for task in page], states=[TaskState.PENDING]))
            before = page[-1].number
        return cancelled

    def cancel(self, task_id: str) -> Task:
        """Ask one task to stop; the task as it is then. :class:`NotFound` if there is none."""
        return self._tasks.cancel_one(task_id)

    def task(self, task_id: str) -> Task:
        """All there is to know of a task; :class:`NotFound` if there is none."""
        return self._tasks.get(task_id)

    def health(self) -> Health:
        """Whether a worker lives and the engine carries ids to it; raises :class:`Unavailable` without a database."""
        alive = self.live_workers()
        health = Health(active_workers=len(alive), worker_names=tuple(worker.name for worker in alive))
        if not alive:
            return replace(health, fault="no_worker")
        engine = self._tasks.engine.health()
        if not engine["ok"]:
            return replace(health, fault=str(engine["reason"]), facts=engine.get("facts") or {})
        return health
