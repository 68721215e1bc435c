"""What a running handler sees of the runner: progress, the question whether to stop, a place for temporary files."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from gristmill.clock import Clock
from gristmill.errors import Unavailable
from gristmill.tasks.model import Progress, Task, TaskFilter
from gristmill.tasks.ports import TaskStore

__all__ = ["CancelRequested", "LeaseLost", "ReleaseRequested", "RunContext", "SoftLimitReached", "Stop"]

_MERGE_SECONDS = 0.25
"""Progress is written at most this often: a thousand pages a second must not become a thousand writes."""


class Stop(BaseException):
    """The attempt must end now. Not an :class:`Exception`, so that no handler swallows it by accident."""


class CancelRequested(Stop):
    """Somebody asked the task to stop."""


class SoftLimitReached(Stop):
    """The attempt has used up its time."""


class ReleaseRequested(Stop):
    """The worker shuts down and gives the task back."""


class LeaseLost(Stop):
    """Another worker holds the task by now; nothing this attempt does counts any more."""


class RunContext:
    """Implements :class:`gristmill.tasks.ports.TaskContext` for one attempt."""

    def __init__(
        self,
        task: Task,
        store: TaskStore,
        clock: Clock,
        *,
        temp_dir: Path,
        upcoming: Sequence[Task] = (),
        requested_stop: Callable[[], Stop | None] = lambda: None,
    ) -> None:
        self._task = task
        self._upcoming = upcoming
        self._store = store
        self._clock = clock
        self._temp_dir = temp_dir
        self._has_temp_dir = False
        self._requested_stop = requested_stop
        self._latest = task.progress
        # A task that ends sooner than this is told of by its end.
        self._written_at = clock.monotonic()
        self._lock = threading.Lock()

    @property
    def task(self) -> Task:
        return self._task

    @property
    def upcoming(self) -> Sequence[Task]:
        return self._upcoming

    @property
    def temp_dir(self) -> Path:
        self._temp_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._has_temp_dir = True
        return self._temp_dir

    @property
    def has_temp_dir(self) -> bool:
        """Whether the handler asked for its directory, so that there is one to remove."""
        return self._has_temp_dir

    @property
    def latest_progress(self) -> Progress:
        """The progress as last reported, written or not."""
        return self._latest

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
        now = self._clock.monotonic()
        with self._lock:
            self._latest = Progress(stage=stage, unit=unit, done=done, failed=failed, skipped=skipped, total=total)
            due = now - self._written_at >= _MERGE_SECONDS
            if due:
                self._written_at = now
        if due and not self._write():
            raise LeaseLost
        self.check()

    def _write(self) -> bool:
        try:
            return self._store.progress(self._task.id, self._task.lease, self._latest)
        except Unavailable:
            # The work matters more than the word about it; the next report carries more anyway.
            return True

    def check(self) -> None:
        stop = self._requested_stop()
        if stop is not None:
            raise stop

    def children(self) -> Sequence[Task]:
        children: list[Task] = []
        before: int | None = None
        while page := self._store.find(TaskFilter(parent_id=self._task.id), limit=1000, before=before):
            children += page
            before = page[-1].number
        return children[::-1]
