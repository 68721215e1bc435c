"""The pool of our Celery workers: not processes that run messages, but one supervisor whose slots claim rows."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import psutil
from celery.concurrency.base import BasePool
from celery.signals import setup_logging
from celery.worker import state

from gristmill.celery.opened import settings
from gristmill.engines.policy import CELERY
from gristmill.logs import configure_logs
from gristmill.worker.crew import CREW_COMMAND, Crew

__all__ = ["SupervisorPool"]

_KEEP_SECONDS = 0.5
_ENDED_SECONDS = 0.05

Level: TypeAlias = Literal["debug", "info", "warning", "error"]

_LEVELS: Sequence[tuple[int, Level]] = (
    (logging.DEBUG, "debug"),
    (logging.INFO, "info"),
    (logging.WARNING, "warning"),
)


class SupervisorPool(BasePool):  # type: ignore[misc]  # Published without types.
    """Starts and ends the crew of a worker; ``limit`` is how many slots it has."""

    crew_command: Sequence[str] = CREW_COMMAND

    def __init__(self, limit: int | None = None, **options: Any) -> None:
        super().__init__(limit, **options)
        self._crew: Crew | None = None
        self._ending = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="crew keeper", daemon=True)
        self.when_ended: Callable[[], None] = lambda: None
        """Called when no slot runs any more, while the broker can still be told."""

    def on_start(self) -> None:
        """Start the slots: they work whether or not the broker can be reached."""
        _, name = self.options["initargs"]
        chosen = settings()
        workers = chosen.workers.model_copy(
            update={"concurrency": self.limit, "queues": tuple(self.app.amqp.queues.consume_from)}
        )
        self._crew = Crew(
            chosen.model_copy(update={"workers": workers}), engine=CELERY, name=name, command=self.crew_command
        )
        self._crew.keep()
        self._keeper.start()

    def _keep(self) -> None:
        # Not in the event loop, which stands still while the broker is away.
        while not self._ending.wait(_KEEP_SECONDS):
            if self._crew is not None:
                self._crew.keep()

    def on_stop(self) -> None:
        """Warm shutdown: what runs may end within the drain time, the rest is given back."""
        # Celery stops a pool in a cold shutdown, too.
        self._end(hurry=state.should_terminate not in (None, False))

    def on_terminate(self) -> None:
        """Cold shutdown: everything is given back at once."""
        self._end(hurry=True)

    def _end(self, *, hurry: bool) -> None:
        self._ending.set()
        if self._keeper.is_alive():
            self._keeper.join()
        crew = self._crew
        if crew is None:
            return
        crew.drain()
        if hurry and crew.pid is not None:
            # A second signal tells a supervisor that nobody wants to wait.
            with suppress(ProcessLookupError):
                os.kill(crew.pid, signal.SIGINT)
        pause = threading.Event()
        while not crew.has_ended():
            pause.wait(_ENDED_SECONDS)
        self._crew = None
        self.when_ended()

    @property
    def crew_pid(self) -> int | None:
        """The process id of the supervisor."""
        return None if self._crew is None else self._crew.pid

    def _slots(self) -> list[int]:
        """The process ids of the slots."""
        try:
            return [slot.pid for slot in psutil.Process(self.crew_pid).children()] if self.crew_pid else []
        except psutil.Error:
            return []

    def _get_info(self) -> dict[str, Any]:
        return {
            **super()._get_info(),
            "processes": self._slots(),
            "max-tasks-per-child": settings().workers.max_tasks_per_slot,
            "timeouts": [],
        }


@setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]  # As above.
def _log_as_we_do(loglevel: int | str = logging.INFO, logfile: str | None = None, **_: Any) -> None:
    """In the place of Celery's own logs; this module is the first of ours that a worker imports."""
    number = logging.getLevelName(loglevel) if isinstance(loglevel, str) else loglevel
    level: Level = next((name for bound, name in _LEVELS if number <= bound), "error")
    configure_logs(level, settings().log.format, file=Path(logfile) if logfile else None)
