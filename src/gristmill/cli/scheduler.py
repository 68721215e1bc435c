"""``gristmill scheduler``: the sweeper alone in the foreground, for a process manager."""

import signal
import threading
from types import FrameType

from gristmill.cli.command import command
from gristmill.cli.invocation import Invocation

__all__ = ["scheduler"]


@command(
    examples="""
    gristmill scheduler
    GRISTMILL_TASKS__SWEEP_SECONDS=1 gristmill scheduler
    """
)
def scheduler(invocation: Invocation) -> None:
    """Run the sweeper alone in the foreground until SIGTERM or Ctrl-C.

    It gives back what dead workers held and wakes tasks whose time has come. Every worker carries one, so a scheduler
    of its own is needed only where tasks have to be looked after while no worker is up.
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
        while not stop.wait(settings.tasks.sweep_seconds):
            app.sweeper.sweep()
        log.info("scheduler.stopped")
