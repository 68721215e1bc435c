"""What is compared: something that takes tasks and runs them in processes of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil

__all__ = ["Contender", "Processes", "add_worker", "until"]

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.02


class Contender(Protocol):
    """One way to run tasks that sleep."""

    processes: "Processes"
    slots: int
    """Tasks that all its workers run side by side."""

    @property
    def name(self) -> str:
        """As the report calls it."""
        ...

    def start_worker(self, *, slots: int) -> None:
        """Start one more worker; it may take a while until it takes tasks."""
        ...

    def submit(self, seconds: float, count: int) -> None:
        """Hand in ``count`` tasks that take ``seconds`` each; accepted when this returns."""
        ...

    def ended(self) -> int:
        """How many tasks have ended since :meth:`begin`."""
        ...

    def runners(self) -> list[int]:
        """The processes in which a task has begun to run since :meth:`begin`, in order."""
        ...

    def begin(self) -> None:
        """Count from here."""
        ...

    def close(self) -> None:
        """End all processes."""
        ...


def add_worker(contender: Contender, *, slots: int) -> None:
    """Start one more worker, and wait until as many tasks have ended as there are slots now."""
    contender.start_worker(slots=slots)
    contender.slots += slots
    contender.begin()
    contender.submit(1.0, contender.slots)
    silent = f"{contender.name} did not answer; see {contender.processes.log}"
    until(lambda: contender.ended() >= contender.slots, _START_SECONDS, look=_LOOK_SECONDS, otherwise=silent)


def until(true: Callable[[], bool], seconds: float, *, look: float, otherwise: str = "") -> None:
    """Look every ``look`` seconds whether it is ``true``; after ``seconds``, :class:`TimeoutError` says ``otherwise``."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(look)


class Processes:
    """The workers of one contender, each the leader of a group of its own."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        """What they say."""
        self._environment = {**os.environ, **environment}
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, module: str, arguments: Sequence[str]) -> int:
        """Run ``python -m module``; its process id."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self._running[process.pid] = process
        return process.pid

    def kill_with(self, pid: int) -> None:
        """SIGKILL to the worker that the process ``pid`` belongs to, and to all it has started, at once."""
        (root,) = (root for root in self._running if pid in {member.pid for member in _family(root)})
        for process in _family(root):
            with suppress(psutil.Error):
                process.kill()
        self._running.pop(root).wait()

    def cpu_seconds(self) -> float:
        """What all of them have used so far."""
        return sum(_cpu_seconds(process) for pid in self._running for process in _family(pid))

    def memory_mb(self) -> float:
        """What all of them hold; shared pages count once, by their share in each, where the system tells."""
        return sum(_memory_mb(process) for pid in self._running for process in _family(pid))

    def close(self) -> None:
        """Ask all to end, then kill what is left."""
        families = [process for pid in self._running for process in _family(pid)]
        for pid in self._running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
        for member in families:
            with suppress(psutil.Error):
                member.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()


def _family(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return float(times.user + times.system + ended)


def _memory_mb(process: psutil.Process) -> float:
    try:
        usage = process.memory_full_info()
    except psutil.Error:
        return 0.0
    return float(getattr(usage, "pss", usage.rss)) / 2**20
