"""Which of the registered workers are alive, as far as can be told from here and at once.

The sweeper decides by watching the beat for a whole lease; who only wants to know cannot wait that long.
"""

import socket
from collections.abc import Sequence

from gristmill.tasks.model import Worker

__all__ = ["live_workers"]

_STARTED_MARGIN_SECONDS = 2.0


def live_workers(workers: Sequence[Worker], *, now: int, lease_seconds: float) -> list[Worker]:
    """Those of ``workers`` that live: on this machine by their process, elsewhere by a beat within the last lease."""
    here = socket.gethostname()
    return [
        worker
        for worker in workers
        if (_is_process(worker) if worker.host == here else now - worker.beat_at <= lease_seconds * 1_000_000)
    ]


def _is_process(worker: Worker) -> bool:
    import psutil

    try:
        process = psutil.Process(worker.pid)
        # A number used again belongs to a process younger than the worker.
        young = process.create_time() > worker.started_at / 1_000_000 + _STARTED_MARGIN_SECONDS
        return not young and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
