"""The peer of the task benchmark: Huey on SQLite with one task that does nothing. Imported by its consumer too."""

import os
import time

from huey import SqliteHuey  # type: ignore[import-untyped]  # Published without types.

__all__ = ["huey", "ping"]

huey = SqliteHuey("peer", filename=os.environ["BENCHMARK_HUEY_FILE"])


@huey.task()  # type: ignore[untyped-decorator]  # As above.
def ping() -> float:
    """When it ran."""
    return time.time()
