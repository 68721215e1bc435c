"""Runs a worker in this process until it is told to stop: what every way of starting one comes down to."""

import os
import signal
import sys
import threading

from gristmill.app import open_gristmill
from gristmill.engines.local import LOCAL
from gristmill.logs import configure_logs
from gristmill.settings import Settings
from gristmill.worker.supervisor import Supervisor

__all__ = ["cores", "run_worker"]


def run_worker(settings: Settings, *, attached: bool = False, engine: str = LOCAL, name: str | None = None) -> None:
    """Run tasks of ``engine`` until SIGTERM or SIGINT.

    ``attached``, also until standard input ends, which it does with who started us. ``name`` is what others see.
    """
    configure_logs(settings.log.level, settings.log.format)
    app = open_gristmill(settings)
    if attached:
        threading.Thread(target=_stop_at_end_of_input, name="attachment", daemon=True).start()
    try:
        count = settings.workers.concurrency or cores()
        Supervisor(app, count=count, engine=engine, name=name).run()
    finally:
        app.close()


def cores() -> int:
    """How many CPU cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _stop_at_end_of_input() -> None:
    # Read from the descriptor: a daemon thread inside sys.stdin's lock would hold up the end of the process.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
