"""A worker for the duration of one command, where none is running; it ends with the command, however that ends."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["AttachedWorker", "worker_listens"]

_MARGIN_SECONDS = 8.0
"""Beyond the drain: for giving tasks back and ending slots."""


def worker_listens(app: "Gristmill", queue: str) -> bool:
    """Whether some living worker takes tasks of ``queue``."""
    from gristmill.monitoring.presence import live_workers

    registered = app.store.workers()
    alive = live_workers(registered, now=app.clock.now(), lease_seconds=app.settings.tasks.lease_seconds)
    return any(queue in worker.queues for worker in alive)


class AttachedWorker:
    """Starts a worker when entered, and leaves nothing of it behind when left."""

    def __init__(self, app: "Gristmill", flags: Sequence[str], *, slots: int) -> None:
        self._app = app
        self._flags = flags
        self._slots = slots
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ended(self) -> bool:
        """Whether the worker has died on us."""
        return self._process is not None and self._process.poll() is not None

    @property
    def log_file(self) -> str:
        """Where it says what it does."""
        return str(self._app.paths.logs / "worker.log")

    def __enter__(self) -> Self:
        engine = self._app.engines.policy().main
        command = [sys.executable, "-m", "gristmill.worker", *self._flags, "--attached", "--engine", engine]
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # Its own session: Ctrl-C on the terminal is for us to handle, not for it.
            self._process = subprocess.Popen(
                [*command, "--concurrency", str(self._slots)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del kind, error, traceback
        process = self._process
        if process is None:
            return
        import psutil

        slots: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            slots = psutil.Process(process.pid).children(recursive=True)
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=self._app.settings.workers.drain_seconds + _MARGIN_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        for slot in slots:
            with contextlib.suppress(psutil.Error):
                slot.kill()
