"""Waits for a task while showing how far it is, and makes sure that somebody works on it.

A bar on a terminal, plain lines elsewhere, both on standard error: standard output is for the answer.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import click

from gristmill.cli.invocation import Invocation
from gristmill.cli.views import duration
from gristmill.errors import Unavailable
from gristmill.worker.attached import AttachedWorker, worker_listens

if TYPE_CHECKING:
    from types import TracebackType

    from gristmill.app import Gristmill
    from gristmill.tasks.model import Task

__all__ = ["follow", "work_through", "worker_at_hand"]

_LOOK_SECONDS = 0.2
_WORKER_LOOK_SECONDS = 3.0
_LINE_SECONDS = 5.0
"""How often a plain line says how far it is."""


@dataclass(frozen=True, slots=True)
class _View:
    """What there is to show of a task at one moment."""

    task: "Task"
    current: str
    eta: float | None


class _Display(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None: ...

    def show(self, view: _View) -> None: ...


def work_through(invocation: Invocation, app: "Gristmill", task: "Task", *, slots: int) -> "Task":
    """Wait until ``task`` has ended; where no worker is running, one works for as long as this takes."""
    with worker_at_hand(invocation, app, task.queue, slots=slots) as see_to_workers:
        return follow(invocation, app, task, each_look=see_to_workers)


@contextmanager
def worker_at_hand(invocation: Invocation, app: "Gristmill", queue: str, *, slots: int) -> Iterator[Callable[[], None]]:
    """To be called every now and then: where no worker takes tasks of ``queue``, one does until the block ends."""
    with ExitStack() as stack:
        own: AttachedWorker | None = None
        looked = float("-inf")

        def see_to_workers() -> None:
            nonlocal own, looked
            now = time.monotonic()
            if own is not None and own.ended:
                raise Unavailable("worker_ended", log=own.log_file)
            if own is None and now - looked >= _WORKER_LOOK_SECONDS:
                looked = now
                if not worker_listens(app, queue):
                    invocation.note("cli_own_worker", slots=slots)
                    flags = invocation.flags(app.settings.data)
                    own = stack.enter_context(AttachedWorker(app, flags, slots=slots))

        yield see_to_workers


def follow(
    invocation: Invocation,
    app: "Gristmill",
    task: "Task",
    *,
    each_look: Callable[[], None] = lambda: None,
    cancels: bool = True,
) -> "Task":
    """Wait until ``task`` has ended, showing its progress.

    With ``cancels``, the first Ctrl-C cancels the task and only the second leaves; else the first one leaves.
    """
    asked = not cancels
    with _display(invocation) as display:
        while True:
            try:
                task = app.tasks.get(task.id)
                display.show(_View(task=task, current=_current(app, task), eta=_eta(app, task)))
                if task.state.is_final:
                    return task
                each_look()
                task = app.tasks.wait(task.id, timeout_seconds=_LOOK_SECONDS)
            except KeyboardInterrupt:
                if asked:
                    raise
                asked = True
                app.tasks.cancel_one(task.id)
                invocation.note("cli_cancelling")


def _eta(app: "Gristmill", task: "Task") -> float | None:
    from gristmill.tasks.service import eta_seconds

    return eta_seconds(task, app.clock.now())


def _current(app: "Gristmill", task: "Task") -> str:
    """The stage of the task, or of a child that is being worked on."""
    from gristmill.tasks.model import TaskFilter, TaskState

    if task.state is not TaskState.PROCESSING:
        return ""
    running = app.tasks.find(TaskFilter(parent_id=task.id, states=[TaskState.PROCESSING]), limit=4)
    shown = max(running, key=lambda child: child.progress.total or 0, default=task)
    progress = shown.progress
    if shown is task or not progress.total:
        return progress.stage
    return f"{progress.stage} {progress.processed}/{progress.total}"


def _display(invocation: Invocation) -> _Display:
    if invocation.json:
        return _Silence()
    return _Bar() if sys.stderr.isatty() else _Lines(invocation)


class _Silence:
    """For machines."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, view: _View) -> None:
        """Nothing."""


class _Lines(_Silence):
    """A line now and then, for logs."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._next = time.monotonic() + _LINE_SECONDS

    def show(self, view: _View) -> None:
        """Say how far it is, if it is time to."""
        now = time.monotonic()
        if now < self._next or view.task.progress.total is None:
            return
        self._next = now + _LINE_SECONDS
        progress = view.task.progress
        self._invocation.note(
            "cli_progress",
            done=progress.done,
            total=progress.total or 0,
            unit=progress.unit,
            failed=progress.failed,
            skipped=progress.skipped,
            eta="?" if view.eta is None else duration(view.eta),
        )


class _Bar:
    """A bar that moves, for people."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.fields[stage]:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[trouble]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[eta]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._row = self._progress.add_task("", total=None, stage="", trouble="", eta="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, view: _View) -> None:
        """Move the bar."""
        progress = view.task.progress
        self._progress.update(
            self._row,
            completed=progress.processed,
            total=progress.total,
            stage=click.unstyle(view.current or view.task.state.value)[:18],
            trouble=f"{progress.failed} ✗" if progress.failed else "",
            eta="" if view.eta is None else f"~ {duration(view.eta)}",
        )
