"""Workers die, stop and come back at every moment that matters; every effect happens once."""

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from gristmill.tasks.model import Task, TaskFilter, TaskState
from tests.integration.worker.conftest import Mill, gone
from tests.support.history import effects_in, prepare_effects, what_broke
from tests.support.waiting import eventually

MARGIN_SECONDS = 4.0
"""For starting processes on a busy machine; the promise itself is lease and sweep."""
RESTARTS = 50
BACKLOG = 20


def all_completed(mill: Mill, count: int) -> bool:
    return mill.app.store.counts(TaskFilter()) == {TaskState.COMPLETED: count}


def wait_for_progress(mill: Mill) -> None:
    def completed() -> int:
        return mill.app.store.counts(TaskFilter()).get(TaskState.COMPLETED, 0)

    before = completed()
    eventually(lambda: completed() > before, 30)


@pytest.mark.parametrize("place", ["after_claim", "before_finish", "after_finish"])
def test_effect_happens_once_when_the_slot_dies(mill: Mill, place: str) -> None:
    prepare_effects(mill.app.database)
    tasks = [mill.submit("counted") for _ in range(4)]

    # The first time is spared, so that each process gets something done before it dies.
    mill.start(failpoint=f"{place}:kill@2")

    eventually(lambda: all_completed(mill, len(tasks)), 30)
    ids = [task.id for task in tasks]
    assert what_broke(mill.app.store, ids, effects=effects_in(mill.app.database)) == []
    assert any("slot.ended" in line for line in mill.logs().splitlines())


def test_death_counts_against_one_task_however_many_were_claimed_together(mill: Mill) -> None:
    draft = mill.app.tasks.draft
    tasks = mill.app.tasks.submit_all([draft("ping", {"note": str(number)}) for number in range(80)])

    # By its eighth claim, a slot takes many short tasks together.
    mill.start(failpoint="after_claim:kill@8")

    eventually(lambda: all_completed(mill, len(tasks)), 40)
    deaths = sum("slot.ended" in line and "SIGKILL" in line for line in mill.logs().splitlines())
    ended = mill.app.store.get_many([task.id for task in tasks])
    assert deaths > 0
    assert sum(task.crash_count for task in ended) <= deaths
    assert any("released" in mill.history(task) for task in ended)
    assert what_broke(mill.app.store, [task.id for task in tasks]) == []


def test_task_of_a_killed_worker_runs_again_within_lease_and_sweep(mill: Mill) -> None:
    source = random.Random(3)
    settings = mill.app.settings.tasks
    holder = mill.start()
    took: list[float] = []
    for _ in range(2):
        task = mill.submit("patient")
        mill.started(task)
        heir = mill.start()
        time.sleep(source.uniform(0, 0.3))
        holder.kill()
        holder.wait()
        killed = time.monotonic()

        mill.started(task, lease=2)
        took.append(time.monotonic() - killed)
        mill.let_go(task)
        mill.ended(task)
        holder = heir

    # A beat that was seen at the last sweep, a lease without one, and the sweep that notices.
    assert max(took) < settings.lease_seconds + 2 * settings.sweep_seconds + MARGIN_SECONDS, took


def test_sweeper_that_dies_between_its_duties_is_replaced_with_its_worker(mill: Mill) -> None:
    prepare_effects(mill.app.database)
    first = mill.start(failpoint="mid_sweep:kill@12")
    tasks = [mill.submit("counted") for _ in range(30)]
    assert first.wait(timeout=20) == -signal.SIGKILL

    mill.start()

    eventually(lambda: all_completed(mill, len(tasks)), 20)
    ids = [task.id for task in tasks]
    assert what_broke(mill.app.store, ids, effects=effects_in(mill.app.database)) == []


def test_cancelled_task_never_starts_when_its_worker_comes_later(mill: Mill) -> None:
    cancelled, other = mill.submit("patient"), mill.submit("patient")
    mill.app.tasks.cancel_one(cancelled.id)

    mill.start()

    mill.started(other)
    mill.let_go(other)
    mill.ended(other)
    assert mill.history(cancelled) == ["submitted", "cancelled"]
    assert list(Path(cancelled.payload["folder"]).iterdir()) == []


def test_cancelled_task_dies_with_all_the_processes_it_started(mill: Mill) -> None:
    mill.start()
    task = mill.submit("parental")
    family = [psutil.Process(int(pid)) for pid in mill.started(task)]
    asked = time.monotonic()

    mill.app.tasks.cancel_one(task.id)

    ended = mill.ended(task)
    eventually(lambda: gone(family), 5)
    grace = mill.app.settings.workers.cancel_grace_seconds
    assert ended.state is TaskState.CANCELLED
    # Seen within a second; then the grace; the rest is the margin of the machine.
    assert time.monotonic() - asked < 1 + grace + MARGIN_SECONDS


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rolling_restart_loses_nothing_and_counts_no_attempt(make_mill: Callable[..., Mill]) -> None:
    # With the usual lease: a worker that a busy machine keeps from its work for two seconds is another story.
    mill = make_mill(tasks={"lease_seconds": 30.0})
    prepare_effects(mill.app.database)
    tasks: list[Task] = []
    enough = threading.Event()

    def keep_busy() -> None:
        # Always more at hand than what runs.
        while not enough.is_set():
            if mill.app.store.counts(TaskFilter()).get(TaskState.PENDING, 0) < BACKLOG:
                tasks.extend(mill.submit("counted") for _ in range(10))
            enough.wait(0.05)

    load = threading.Thread(target=keep_busy)
    load.start()
    try:
        workers = [mill.start()]
        for _ in range(RESTARTS):
            workers.append(mill.start())
            # Every stop comes in the middle of work, however long the machine takes to begin it.
            wait_for_progress(mill)
            workers[-2].terminate()
        stopped = [worker.wait(timeout=20) for worker in workers[:-1]]
    finally:
        enough.set()
        load.join()

    assert stopped == [0] * RESTARTS
    eventually(lambda: all_completed(mill, len(tasks)), 60)
    assert len(tasks) > RESTARTS
    ended = mill.app.store.get_many([task.id for task in tasks])
    assert {(task.attempt, task.crash_count) for task in ended} == {(1, 0)}
    ids = [task.id for task in tasks]
    assert what_broke(mill.app.store, ids, effects=effects_in(mill.app.database)) == []
