"""The process that runs the tasks of a front: a supervisor with its slots, started again if it dies.

A front receives messages and runs nothing; what a task does to its process never reaches the front.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from gristmill.errors import GristmillError
from gristmill.logs import get_log
from gristmill.settings import Settings, dump_settings
from gristmill.worker.foreground import run_worker

__all__ = ["CREW_COMMAND", "Crew", "main", "ordered"]

_log = get_log(__name__)

CREW_COMMAND = (sys.executable, "-m", "gristmill.worker.crew")

_SHORTEST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_SETTLED_SECONDS = 60.0
"""One that lived this long died of something new: the next is started without a long pause."""
_MARGIN_SECONDS = 8.0
"""Beyond the drain: for giving tasks back and ending slots."""


class Crew:
    """A supervisor in a process of its own, which ends when we do."""

    def __init__(self, settings: Settings, *, engine: str, name: str, command: Sequence[str] = CREW_COMMAND) -> None:
        self._settings = settings
        self._orders = {"settings": dump_settings(settings), "engine": engine, "name": name}
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._deaths = 0
        self._kill_at: float | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the supervisor, if there is one."""
        return None if self._process is None else self._process.pid

    def keep(self) -> None:
        """Start the supervisor unless it runs; after it died, ever more slowly."""
        now = time.monotonic()
        if self._process is not None and (status := self._process.poll()) is not None:
            self._let_go()
            self._deaths = 0 if now - self._started_at > _SETTLED_SECONDS else self._deaths + 1
            pause = min(_LONGEST_PAUSE_SECONDS, _SHORTEST_PAUSE_SECONDS * 2**self._deaths)
            self._start_at = now + pause
            _log.error("crew.died", status=status, restart_seconds=pause)
        if self._process is None and now >= self._start_at:
            self._start()

    def _start(self) -> None:
        # Its own session: what the terminal sends is for us to handle, not for it.
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)
        self._started_at = time.monotonic()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(self._orders).encode() + b"\n")
            self._process.stdin.flush()

    def drain(self) -> None:
        """Ask it to end: what runs may end within the drain time, the rest is given back."""
        if self._process is not None and self._kill_at is None:
            self._kill_at = time.monotonic() + self._settings.workers.drain_seconds + _MARGIN_SECONDS
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def has_ended(self) -> bool:
        """Whether it has ended after :meth:`drain`; it is killed when its time is up."""
        if self._process is None:
            return True
        if self._process.poll() is None:
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._process.kill()
            return False
        self._let_go()
        return True

    def _let_go(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()


def ordered() -> tuple[Settings, str, str]:
    """In the process of the supervisor: the settings, the engine and the name that the front gave it."""
    line = b""
    # Byte by byte, without a buffer: what comes after this line is for whoever waits for the end of the input.
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    orders = json.loads(line)
    return Settings.model_validate(orders["settings"]), orders["engine"], orders["name"]


def main() -> int:
    """Run the tasks of a front until it says otherwise, or is gone."""
    settings, engine, name = ordered()
    try:
        run_worker(settings, attached=True, engine=engine, name=name)
    except GristmillError as error:
        sys.stderr.write(f"error: {error.message(settings.language)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
