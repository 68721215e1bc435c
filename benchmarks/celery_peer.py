"""The peer of the task benchmark: Celery on Valkey with one task that does nothing. Imported by its worker too.

Without a result backend nobody knows when a task has ended, so each adds the time it ran at to the end of a file.
"""

import os
import struct
import time

from celery import Celery

__all__ = ["app", "ping", "ran_at"]

_TIME = struct.Struct("d")
_RAN = os.open(os.environ["BENCHMARK_CELERY_RAN"], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

app = Celery("peer", broker=os.environ["BENCHMARK_CELERY_BROKER"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


@app.task  # type: ignore[untyped-decorator]  # Published without types.
def ping(note: str) -> None:
    """Leave the time behind: 8 bytes, which the system appends as one."""
    del note
    os.write(_RAN, _TIME.pack(time.time()))


def ran_at() -> list[float]:
    """When each task so far ran, in the order they ended."""
    return [at for (at,) in _TIME.iter_unpack(os.pread(_RAN, os.fstat(_RAN).st_size, 0))]
