"""Stops processes as a debugger, a full machine or a sleeping laptop does: they hold what they hold, and do nothing."""

import psutil

from gristmill.db.database import Database
from gristmill.errors import Unavailable
from tests.support.waiting import eventually

__all__ = ["pause"]


def pause(database: Database, *processes: psutil.Process) -> None:
    """Stop ``processes`` at a moment when none of them holds a lock that others need."""
    probe = Database(database.url, busy_timeout_seconds=0.1)

    def paused() -> bool:
        for process in processes:
            process.suspend()
        eventually(lambda: all(process.status() == psutil.STATUS_STOPPED for process in processes))
        try:
            with probe.write() as transaction:
                # In SQLite there is one lock, and we have it by now.
                if probe.dialect == "postgres":
                    transaction.exec_driver_sql("LOCK TABLE workers, tasks, documents IN EXCLUSIVE MODE")
                return True
        except Unavailable:
            for process in processes:
                process.resume()
            return False

    try:
        eventually(paused)
    finally:
        probe.close()
