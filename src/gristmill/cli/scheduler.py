"""``gristmill scheduler``: the sweeper and the schedules in the foreground, for a process manager."""

import signal
import threading
import time
from types import FrameType

from gristmill.cli.command import command
from gristmill.cli.invocation import Invocation
from gristmill.errors import GristmillError

__all__ = ["scheduler"]

_LOOK_SECONDS = 1.0
"""How often it looks for schedules that are due; a worker does only when it sweeps."""


@command(
    examples="""
    gristmill scheduler
    GRISTMILL_TASKS__SWEEP_SECONDS=1 gristmill scheduler
    """
)
def scheduler(invocation: Invocation) -> None:
    """Run the sweeper and the schedules in the foreground, without a worker, until SIGTERM or Ctrl-C.

    It gives back what dead workers held, wakes tasks whose time has come, and submits those of schedules to the second.
    Every worker does the same with each sweep, so a scheduler of its own is needed only where a few seconds matter, or
    where somebody has to look while no worker is up. Any number of them may run.
    """
    settings = invocation.settings()
    from gristmill.logs import configure_logs, get_log

    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    with invocation.app(settings) as app:
        configure_logs(settings.log.level, settings.log.format)
        log = get_log("gristmill.cli.scheduler")
        log.info("scheduler.started")
        sweep_at = time.monotonic()
        while not stop.wait(min(_LOOK_SECONDS, settings.tasks.sweep_seconds)):
            if time.monotonic() >= sweep_at:
                sweep_at = time.monotonic() + settings.tasks.sweep_seconds
                app.sweeper.sweep()
                continue
            try:
                app.schedules.fire_due()
            except GristmillError as error:
                # The database may be back at the next look; what is due stays due.
                log.warning("scheduler.look_failed", error=str(error))
        log.info("scheduler.stopped")
