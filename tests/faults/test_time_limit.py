"""A task that hears nothing, because it is inside C code and holds the interpreter's lock, is killed at its limit."""

from pathlib import Path

import psutil
import pytest

from gristmill.tasks.model import TaskState
from tests.integration.worker.conftest import Mill, gone
from tests.support.waiting import eventually

LIMIT_SECONDS = 1.0
LATE_SECONDS = 2.0


@pytest.mark.parametrize("kind", ["deaf", "backtracking", "sleepy"])
def test_task_that_hears_nothing_is_killed_at_its_hard_limit_and_leaves_nothing(mill: Mill, kind: str) -> None:
    mill.start()
    # The soft limit, where there is one, must not be what ends it: one that only sleeps would hear that.
    task = mill.submit(kind, soft_limit_seconds=60.0, hard_limit_seconds=LIMIT_SECONDS)
    slot = psutil.Process(int(mill.started(task)[0]))
    next_task = mill.app.tasks.submit("ping", {"note": "next"})

    ended = mill.ended(task)

    assert ended.state is TaskState.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.facts) == ("hard_limit_exceeded", {"seconds": LIMIT_SECONDS})
    assert mill.history(task) == ["submitted", "claimed", "failed"]
    assert ended.started_at is not None
    assert ended.finished_at is not None
    # As the rows say, so that what this test itself takes does not count.
    assert (ended.finished_at - ended.started_at) / 1_000_000 < LIMIT_SECONDS + LATE_SECONDS
    eventually(lambda: gone([slot]) and list(mill.app.paths.temp.iterdir()) == [], 5)
    assert mill.ended(next_task).state is TaskState.COMPLETED
    assert Path(task.payload["folder"]).exists()
