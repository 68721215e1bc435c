"""The API dies around its commit: what it answered is never lost."""

import os
import random
import signal
import threading
from collections.abc import Callable

from gristmill.tasks.model import TaskFilter, TaskState
from tests.integration.worker.conftest import Mill
from tests.support.api import api_process
from tests.support.history import what_broke
from tests.support.waiting import eventually


def test_every_answered_task_ends_when_the_api_is_killed_around_its_commit(mill: Mill) -> None:
    data = mill.app.settings.data
    answered: list[str] = []
    left: dict[str, int] = {}
    for place in ("before_accept", "after_accept", "after_dispatch"):
        before = sum(mill.app.store.counts(TaskFilter()).values())
        with api_process(data, failpoint=f"{place}:kill@4", **mill.environment) as api:
            now = api.submit_until_it_dies()
            assert api.process.wait(timeout=10) == -signal.SIGKILL
        answered += now
        left[place] = sum(mill.app.store.counts(TaskFilter()).values()) - before - len(now)

    mill.start()

    # What was written before the death is there and runs, answered or not; what was not is not half there.
    assert left == {"before_accept": 0, "after_accept": 1, "after_dispatch": 1}
    assert len(answered) == 9
    eventually(lambda: mill.app.store.counts(TaskFilter()) == {TaskState.COMPLETED: 11}, 20)
    assert what_broke(mill.app.store, answered) == []


def test_every_answered_task_ends_when_the_api_is_killed_at_random(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill()
    source = random.Random(20)
    answered: list[str] = []
    for _ in range(2):
        with api_process(mill.app.settings.data, **mill.environment) as api:
            death = threading.Timer(source.uniform(0.05, 0.4), os.kill, (api.process.pid, signal.SIGKILL))
            death.start()
            answered += api.submit_until_it_dies(10_000)
            death.join()

    mill.start()

    eventually(lambda: set(mill.app.store.counts(TaskFilter())) == {TaskState.COMPLETED}, 30)
    assert len(answered) > 0
    assert what_broke(mill.app.store, answered) == []
