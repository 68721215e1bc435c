"""Runs a Celery worker in this process until it is told to stop: what ``gristmill worker --engine celery`` does."""

import itertools
import socket
import sys
from typing import TYPE_CHECKING

from gristmill.celery.opened import gristmill, use
from gristmill.engines.policy import CELERY
from gristmill.monitoring.presence import live_workers
from gristmill.settings import Settings

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["run"]


def run(settings: Settings) -> None:
    """A Celery worker with ``workers.concurrency`` slots for ``workers.queues``; ends the process with its status."""
    use(settings)
    from gristmill.celery import app

    worker = app.Worker(
        hostname=_free_name(gristmill()),
        queues=list(settings.workers.queues),
        concurrency=settings.workers.concurrency,
        loglevel=settings.log.level.upper(),
        quiet=True,
        # What workers tell each other by these, they read from rows.
        without_mingle=True,
        without_gossip=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


def _free_name(app: "Gristmill") -> str:
    """``celery@host``, or with a number where that is taken: Celery wants one name per worker."""
    alive = live_workers(app.store.workers(), now=app.clock.now(), lease_seconds=app.settings.tasks.lease_seconds)
    taken = {worker.name for worker in alive}
    host = socket.gethostname()
    names = (CELERY if number == 1 else f"{CELERY}{number}" for number in itertools.count(1))
    return next(name for name in (f"{name}@{host}" for name in names) if name not in taken)
