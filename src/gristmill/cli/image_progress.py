"""Waits for builds of image datasets while showing how many images are done, how fast, and how long the rest takes.

Counts images of all builds together, where :mod:`gristmill.cli.follow` counts what one task counts.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from gristmill.cli.invocation import Invocation
from gristmill.cli.views import duration

if TYPE_CHECKING:
    from types import TracebackType

    from gristmill.app import Gristmill
    from gristmill.app.datasets import Build

__all__ = ["follow_builds"]

_LOOK_SECONDS = 0.5
_LINE_SECONDS = 5.0
"""How often a plain line says how far it is."""
_STAGE_CHARS = 24


def follow_builds(
    invocation: Invocation, app: "Gristmill", task_ids: Sequence[str], *, each_look: Callable[[], None]
) -> "list[Build]":
    """Wait until all these builds have ended; the first Ctrl-C cancels them, the second leaves."""
    asked = False
    pace = _Pace()
    with _display(invocation) as display:
        while True:
            try:
                builds = [app.datasets.get(task_id) for task_id in task_ids]
                display.show(pace.view(builds, time.monotonic()))
                running = [build.task.id for build in builds if not build.task.state.is_final]
                if not running:
                    return builds
                each_look()
                app.tasks.wait(running[0], timeout_seconds=_LOOK_SECONDS)
            except KeyboardInterrupt:
                if asked:
                    raise
                asked = True
                for task_id in task_ids:
                    app.tasks.cancel_one(task_id)
                invocation.note("cli_cancelling")


@dataclass(frozen=True, slots=True)
class _View:
    """What there is to show of the builds at one moment, in images."""

    stage: str
    done: int
    failed: int
    skipped: int
    total: int | None
    rate: float | None
    """Images a second, once there is something to tell it from."""

    @property
    def eta(self) -> float | None:
        """Seconds to the end at that rate."""
        if self.total is None or not self.rate:
            return None
        return max(0, self.total - self.done - self.failed - self.skipped) / self.rate


class _Pace:
    """Knows since when images are being worked on, which is later than the builds were begun."""

    def __init__(self) -> None:
        self._began: tuple[float, int] | None = None

    def view(self, builds: "Sequence[Build]", now: float) -> _View:
        """The ``builds`` as they are ``now``, in seconds of a steady clock."""
        parts = [build.progress for build in builds]
        done, failed, skipped = (sum(getattr(part, name) for part in parts) for name in ("done", "failed", "skipped"))
        totals = [part.total for part in parts if part.total is not None]
        is_known = len(totals) == len(parts)
        rate = None
        if is_known:
            # What was unchanged took no time, and what was done before the first look took an unknown one.
            since, before = self._began = self._began or (now, done + failed)
            rate = (done + failed - before) / (now - since) if done + failed > before else None
        return _View(_stage(builds), done, failed, skipped, sum(totals) if is_known else None, rate)


def _stage(builds: "Sequence[Build]") -> str:
    """The first dataset that is being built, and what is done with it."""
    for build in builds:
        for part in build.datasets:
            if not part.task.state.is_final:
                return f"{part.dataset} {part.task.progress.stage}".strip()
    return next((build.task.state.value for build in builds if not build.task.state.is_final), "")


class _Display(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None: ...

    def show(self, view: _View) -> None: ...


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
        if now < self._next or view.total is None:
            return
        self._next = now + _LINE_SECONDS
        self._invocation.note(
            "cli_images_progress",
            done=view.done,
            total=view.total,
            failed=view.failed,
            skipped=view.skipped,
            rate="?" if view.rate is None else f"{view.rate:.1f}",
            eta="?" if view.eta is None else duration(view.eta),
        )


class _Bar:
    """A bar that moves, for people."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.fields[stage]}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[trouble]}"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[eta]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._row = self._progress.add_task("", total=None, stage="", trouble="", rate="", eta="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, view: _View) -> None:
        """Move the bar."""
        self._progress.update(
            self._row,
            completed=view.done + view.failed + view.skipped,
            total=view.total,
            stage=view.stage[:_STAGE_CHARS],
            trouble=f"{view.failed} ✗" if view.failed else "",
            rate="" if view.rate is None else f"{view.rate:.1f}/s",
            eta="" if view.eta is None else f"~ {duration(view.eta)}",
        )
