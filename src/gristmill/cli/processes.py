"""The background processes of one data directory: start, find, stop.

A process is alive while the lock on its pid file is held: it inherits the locked file and keeps it to its end, so
that neither a number used again nor a file left behind can be mistaken for it. Knows nothing of what the processes do.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.errors import Conflict

if TYPE_CHECKING:
    import psutil

__all__ = ["Background", "alone", "stop_all", "tail"]

_LOOK_SECONDS = 0.02
_GLANCE_SECONDS = 0.5
"""Somebody who asks for the state holds the lock for a moment, too."""
_LARGEST_LOG = 20 * 1024 * 1024
_DYING_SECONDS = 5.0
"""How long a killed process may take to vanish: the kernel may be writing its memory away."""


@dataclass(frozen=True, slots=True)
class Background:
    """One background process, by its name."""

    name: str
    run: Path
    """Where pid files are."""
    logs: Path

    @property
    def pid_file(self) -> Path:
        """Holds the process id; locked while the process lives."""
        return self.run / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        """What the process says."""
        return self.logs / f"{self.name}.log"

    def pid(self) -> int | None:
        """The id of the living process, or None."""
        try:
            descriptor = os.open(self.pid_file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.read(descriptor, 32).decode("ascii", "replace").strip()
            return int(written) if written.isdigit() else None
        else:
            return None
        finally:
            os.close(descriptor)

    def start(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> int:
        """Start ``command`` as leader of its own session; its pid. :class:`Conflict` if one is alive already."""
        for place in (self.run, self.logs):
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._make_room()
        lock = os.open(self.pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(lock)
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(lock,),
                    env=None if environment is None else dict(environment),
                )
            finally:
                os.close(log)
            os.ftruncate(lock, 0)
            os.write(lock, f"{process.pid}\n".encode())
            # It goes on without us: nobody here will wait for it, and that is meant.
            process.returncode = 0
            return process.pid
        finally:
            os.close(lock)

    def _take(self, lock: int) -> None:
        deadline = time.monotonic() + _GLANCE_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise Conflict("process_running", name=self.name, pid=self.pid() or 0) from error
                time.sleep(_LOOK_SECONDS)
            else:
                return

    def _make_room(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > _LARGEST_LOG:
                self.log.replace(self.log.with_suffix(".log.1"))


@contextlib.contextmanager
def alone(run: Path) -> Iterator[None]:
    """Held by one ``up`` or ``down`` at a time; :class:`Conflict` if another is at work."""
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(run / "instance.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("instance_changing") from error
        yield
    finally:
        os.close(lock)


def stop_all(processes: Sequence[Background], *, patience_seconds: float) -> dict[str, int]:
    """Ask all to end, wait, kill what is left with everything they started; the pids that were alive, by name.

    :class:`Conflict` (``process_survived``) if one is still there afterwards.
    """
    found = {process.name: pid for process in processes if (pid := process.pid()) is not None}
    # Written down now: what outlives its parent can no longer be found through it.
    families = {name: _family(pid) for name, pid in found.items()}
    for pid in found.values():
        _signal_group(pid, signal.SIGTERM)
    remaining = _wait(processes, patience_seconds)
    for process in remaining:
        families[process.name] += _family(found[process.name])
        _signal_group(found[process.name], signal.SIGKILL)
    for members in families.values():
        for member in members:
            if member.is_running():
                _signal_group(member.pid, signal.SIGKILL)
    for process in _wait(remaining, _DYING_SECONDS):
        raise Conflict("process_survived", name=process.name, pid=found[process.name])
    for process in processes:
        process.pid_file.unlink(missing_ok=True)
    return found


def _wait(processes: Sequence[Background], seconds: float) -> list[Background]:
    """Those still alive when all have ended or the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        alive = [process for process in processes if process.pid() is not None]
        if not alive or time.monotonic() >= deadline:
            return alive
        time.sleep(_LOOK_SECONDS)


def _family(pid: int) -> "list[psutil.Process]":
    import psutil

    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal_group(pid: int, number: signal.Signals) -> None:
    # Every process of ours leads a group; one that a task started may be in the group of its slot instead.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def tail(log: Path, *, after: int, lines: int = 3) -> str:
    """The last lines of ``log`` written after the byte ``after``."""
    try:
        with log.open("rb") as file:
            file.seek(after)
            written = file.read().decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
    return "\n".join(written.splitlines()[-lines:])
