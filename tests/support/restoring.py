"""Restores a snapshot in a process that may die of it: ``python -m tests.support.restoring URL COLLECTION SNAPSHOT``."""

import sys

from gristmill.clock import SystemClock
from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore

__all__ = ["main"]


def main() -> None:
    """Restore it, to the end if nothing happens."""
    database = Database(sys.argv[1])
    SqlIndexStore(database, clock=SystemClock()).restore(sys.argv[2], int(sys.argv[3]), keep_versions=3)
    database.close()


if __name__ == "__main__":
    main()
