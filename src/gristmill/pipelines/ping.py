"""The task that proves the round trip."""

import time

from gristmill.kinds import Ping
from gristmill.tasks.model import Completed, Outcome
from gristmill.tasks.ports import TaskContext

__all__ = ["ping"]

_STEP_SECONDS = 0.05


def ping(context: TaskContext, payload: Ping) -> Outcome:
    """Answer with the note, after the time asked for."""
    until = time.monotonic() + payload.seconds
    while (left := until - time.monotonic()) > 0:
        context.check()
        time.sleep(min(_STEP_SECONDS, left))
    return Completed(result={"note": payload.note})
