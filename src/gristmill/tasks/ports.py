"""Everything the task core asks of the outside, on one page.

Method docstrings are the contract that the conformance suites check on every implementation. All methods are
synchronous and safe to call from several threads and processes at once. An unreachable service raises
:class:`~gristmill.errors.Unavailable`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from gristmill.tasks.model import (
    Event,
    Json,
    NewTask,
    Outcome,
    Progress,
    Task,
    TaskFilter,
    TaskState,
    Worker,
)

__all__ = ["Engine", "EventTail", "Handler", "Ready", "TaskContext", "TaskStore"]


class Ready(Protocol):
    """What an engine has to know of a task: an accepted one or one that is being accepted."""

    @property
    def id(self) -> str:
        """The task's id."""
        ...

    @property
    def kind(self) -> str:
        """What it does."""
        ...

    @property
    def queue(self) -> str:
        """Where it waits."""
        ...

    @property
    def engine(self) -> str | None:
        """Whose workers may claim it."""
        ...


class TaskStore(Protocol):
    """Durable task rows, their events and the workers that hold them.

    Every state change happens as :data:`gristmill.tasks.lifecycle.TRANSITIONS` says, as one atomic statement guarded
    by its source states, and writes one event named after the transition in the same transaction.
    """

    def add(self, tasks: Sequence[NewTask]) -> list[Task]:
        """Accept ``tasks``; all or none; durable (synced to disk) when this returns.

        A task whose id exists is returned as it is and not added again. A task with an ``idempotency_key`` that is
        known is answered with the known task if ``request_hash`` is equal, else :class:`Conflict`
        (``idempotency_key_reused``) and nothing is added. New rows are pending, due unless ``scheduled_at`` lies ahead.
        """
        ...

    def get(self, task_id: str) -> Task:
        """The task; :class:`NotFound` (``task_not_found``) if there is none."""
        ...

    def get_many(self, task_ids: Sequence[str]) -> list[Task]:
        """Those of ``task_ids`` that exist, in the order asked for."""
        ...

    def find(self, where: TaskFilter, *, limit: int, before: int | None = None) -> list[Task]:
        """Up to ``limit`` tasks that match, newest first, with ``number`` below ``before`` (a page cursor)."""
        ...

    def counts(self, where: TaskFilter) -> Mapping[TaskState, int]:
        """How many matching tasks are in each state; states without tasks are absent."""
        ...

    def done_by_engine(self, where: TaskFilter) -> Mapping[str, int]:
        """The units that matching tasks have done, by the engine that each of them was given."""
        ...

    def latest_ends(self, engine: str, *, since: int, limit: int) -> list[tuple[TaskState, float]]:
        """Tasks of ``engine`` that became ready and were completed or failed since a moment, the latest ``limit``.

        Of each, what it became and the seconds from ready to ended.
        """
        ...

    def claim(
        self,
        worker_id: str,
        *,
        queues: Sequence[str],
        kinds: Collection[str],
        engines: Sequence[str] = ("local",),
        slot: int = 0,
        limit: int = 1,
        ready_before: int | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[Task]:
        """Take up to ``limit`` due pending tasks (or only ``ids``) for a slot of ``worker_id``.

        Only tasks of ``queues``, ``kinds`` and ``engines`` are taken.

        Pre-state: pending, due, no cancel requested, and the worker registered; an unregistered worker gets nothing.
        Order: highest priority first, then oldest; with ``ready_before`` only tasks that have been ready since before
        that time are taken and age alone decides (aging).
        Effect: processing, ``lease + 1``, ``attempt + 1``, ``started_at`` now, progress reset unless the task resumes
        from a checkpoint. Two callers never get the same task.
        """
        ...

    def progress(self, task_id: str, lease: int, progress: Progress) -> bool:
        """Record progress. False (and no effect) unless the task is processing under ``lease``."""
        ...

    def finish(self, task_id: str, lease: int, outcome: Outcome) -> Task | None:
        """End the attempt held under ``lease``.

        None, with no effect at all, unless the task is processing under exactly ``lease``. Else, in one transaction:
        the transition that :func:`~gristmill.tasks.lifecycle.transition_for` names; result and items; ``outcome.effect``
        called with the open transaction (if it raises, nothing has happened and the error propagates) and its answer
        added to the result; spawned tasks added, or, where they exist and failed or were cancelled, retried; and, when
        the task became final, its parent's progress advanced and the parent resumed if it waits and no other child is
        open. A completed task that counts in the very unit of its parent, such as images, counts there with its own
        numbers; any other, and whatever is counted in tasks, is one unit.

        Where the parent waits with ``halts`` and the task has failed, its siblings that have not begun are cancelled.

        Many children that a task is going to wait for may be added, and run, before that transaction; those that have
        ended by then count in its progress. If the attempt ends in between, the next finds them.
        """
        ...

    def finish_all(self, endings: Sequence[tuple[str, int, Outcome]]) -> list[Task | None]:
        """What :meth:`finish` does for each ``(task id, lease, outcome)``, in order and in one transaction.

        If an effect raises, nothing has happened to any of them and the error propagates.
        """
        ...

    def request_cancel(self, where: TaskFilter) -> int:
        """Ask all matching tasks and their descendants to stop; how many that changed.

        Pending tasks and tasks that wait for children become cancelled at once; processing ones get the flag and an
        event ``cancel_requested``. Final ones stay as they are.
        """
        ...

    def retry(self, where: TaskFilter) -> list[str]:
        """Make matching failed and cancelled tasks pending again with fresh attempt and crash counts; returns their ids.

        They start from the beginning, without a checkpoint; a waiting parent goes on waiting for them.
        """
        ...

    def set_priority(self, where: TaskFilter, priority: int) -> int:
        """Change the priority of matching pending and processing tasks; how many that changed."""
        ...

    def events(self, task_id: str | None = None, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events with ``seq`` above ``after``, oldest first, of one task or of all."""
        ...

    def tail(self, *, after: int | None = None) -> "EventTail":
        """A reader of the events of all tasks behind ``after``, or of those that are still to come."""
        ...

    def items(self, task_id: str, *, offset: int = 0, limit: int | None = None) -> list[Json]:
        """Result items by position; empty after they expired."""
        ...

    def register_worker(self, worker: Worker) -> None:
        """Make ``worker`` known, so that it may claim."""
        ...

    def heartbeat(self, worker_id: str) -> bool:
        """Add one to the worker's beat. False if it is no longer registered: it must drop what it runs."""
        ...

    def workers(self) -> Sequence[Worker]:
        """All registered workers."""
        ...

    def remove_worker(self, worker_id: str, outcome: Outcome) -> list[Task]:
        """Forget the worker and end every attempt it holds with ``outcome`` (lost or released); returns those tasks.

        One death counts against one task: of those that a slot holds together, the first is lost, the others are
        released.
        """
        ...

    def held(self, worker_id: str, *, cancel_requested: bool = False) -> Sequence[Task]:
        """The tasks the worker holds, slot by slot, in the order it runs them.

        With ``cancel_requested``, only those asked to stop.
        """
        ...

    def promote_due(self) -> int:
        """Make pending tasks whose ``scheduled_at`` has come claimable; how many."""
        ...

    def reassign(self, engine: str, choose: Callable[[str], str], *, limit: int) -> list[Task]:
        """Give up to ``limit`` pending tasks of ``engine`` to the engines that ``choose`` names for their ids.

        Those that are pinned to it stay. Returns those that were moved, as they are now, each with an event ``engine_changed``.
        """
        ...

    def purge(self, *, finished_before: int, limit: int) -> int:
        """Forget final tasks finished before the given time, with events and items, whose parent is not open."""
        ...

    def purge_items(self) -> int:
        """Drop result items that have expired; how many tasks lost theirs."""
        ...


class EventTail(Protocol):
    """Reads the events of all tasks, each once; for one thread at a time."""

    @property
    def position(self) -> int | None:
        """The ``seq`` up to which every event was told: none is added below it. None until :meth:`read` has found out."""
        ...

    def read(self, *, limit: int = 1000) -> list[Event]:
        """The next events, oldest first, at most ``limit``, as far as none can come before them any more."""
        ...


class Engine(Protocol):
    """A way to tell workers that a task is ready. It carries ids and knows nothing of states.

    What it tells is a hint: workers look for themselves every now and then, so that one that is lost only costs time.
    """

    @property
    def name(self) -> str:
        """What it is called: ``local``, ``celery`` or ``rq``; of an engine made of others, the one most tasks go to."""
        ...

    @property
    def homes(self) -> Collection[str]:
        """The engines whose tasks shall be run now; those of others are to be given to one of these."""
        ...

    def choose(self, task_id: str) -> str:
        """The engine that a task goes to, one of :attr:`homes`: at the same moment, the same for the same id."""
        ...

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        """Tell workers that ``tasks`` can be claimed, and, of none in particular, to look.

        Never waits for anything outside this process and never raises. May be repeated for the same task.
        """
        ...

    def revoke(self, task_ids: Sequence[str]) -> None:
        """Tell workers to look for cancel requests now instead of at their next look; best effort."""
        ...

    def health(self) -> Mapping[str, Any]:
        """``{"ok": bool, "reason": str | None, ...}``, as last seen; never waits and never raises."""
        ...

    def close(self) -> None:
        """Tell what is not told yet, within two seconds."""
        ...


class TaskContext(Protocol):
    """What a running handler may ask of the runner."""

    @property
    def task(self) -> Task:
        """The row as it was claimed."""
        ...

    @property
    def upcoming(self) -> Sequence[Task]:
        """The tasks that this process has claimed and means to run after this one, so that one look may serve all.

        Each of them may still be given to another process, under a new lease.
        """
        ...

    @property
    def temp_dir(self) -> Path:
        """A directory for this attempt alone, removed when the attempt ends, however it ends."""
        ...

    def progress(
        self,
        stage: str,
        *,
        unit: str = "",
        done: int = 0,
        failed: int = 0,
        skipped: int = 0,
        total: int | None = None,
    ) -> None:
        """Report how far the attempt is; cheap: writes are merged. Also does what :meth:`check` does."""
        ...

    def check(self) -> None:
        """Raise if the task was asked to stop or has used up its time; call between units of work."""
        ...

    def children(self) -> Sequence[Task]:
        """The tasks this one waited for, with their results, in the order they were spawned."""
        ...


class Handler(Protocol):
    """The code of one kind."""

    def __call__(self, context: TaskContext, payload: Any, /) -> Outcome | Json:
        """Do the work of ``payload`` (an instance of the kind's payload type); a mapping means ``Completed``.

        May raise: :class:`~gristmill.errors.GristmillError` decides by ``transient`` between retry and failure, any
        other exception is retried. Must be safe to run again after a crash at any point.
        """
        ...
