"""Workers that are killed, paused and told to go."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gristmill.tasks.model import Completed, TaskState
from tests.integration.worker.conftest import Mill, gone
from tests.support.pausing import pause
from tests.support.waiting import eventually


def test_killed_worker_takes_its_slots_along_and_another_runs_the_task(mill: Mill) -> None:
    first = mill.start()
    task = mill.submit("patient")
    mill.started(task)
    family = mill.tree(first)
    mill.start()

    first.kill()

    first.wait()
    eventually(lambda: gone(family), 3)
    # Lease and sweep, and a moment for the claim.
    mill.started(task, lease=2)
    mill.let_go(task)
    assert mill.ended(task).result == {"lease": 2}
    assert mill.history(task) == ["submitted", "claimed", "worker_lost", "claimed", "completed"]
    assert len(mill.app.store.workers()) == 1


def test_paused_worker_changes_nothing_when_it_wakes_and_recovers(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(tasks={"lease_seconds": 1.0})
    zombie = mill.start()
    task = mill.submit("patient")
    mill.started(task)
    family = mill.tree(zombie)
    pause(mill.app.database, *family)
    mill.start()
    mill.started(task, lease=2)

    for process in family:
        process.resume()

    # Its slot must be stopped: what it would write is refused, and it must not go on for nothing.
    eventually(lambda: gone(family[1:]), 10)
    mill.let_go(task)
    assert mill.ended(task).result == {"lease": 2}
    assert mill.app.store.finish(task.id, 1, Completed()) is None
    assert mill.history(task) == ["submitted", "claimed", "worker_lost", "claimed", "completed"]
    eventually(lambda: len(mill.app.store.workers()) == 2)
    assert zombie.poll() is None


def test_worker_told_to_stop_lets_a_running_task_end(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(workers={"drain_seconds": 15.0})
    worker = mill.start()
    task = mill.submit("patient")
    mill.started(task)
    family = mill.tree(worker)

    worker.send_signal(signal.SIGTERM)
    eventually(lambda: "worker.draining" in mill.logs())
    later = mill.app.tasks.submit("ping", {})
    mill.let_go(task)

    assert mill.ended(task).state is TaskState.COMPLETED
    assert worker.wait(timeout=10) == 0
    assert gone(family)
    assert mill.app.store.get(later.id).state is TaskState.PENDING
    assert mill.app.store.workers() == []


def test_worker_told_to_stop_gives_back_what_does_not_end_without_counting_it(mill: Mill) -> None:
    worker = mill.start(concurrency=2)
    task = mill.submit("patient")
    _, temp_dir = mill.started(task)
    family = mill.tree(worker)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(timeout=10) == 0
    released = mill.app.store.get(task.id)
    assert (released.state, released.attempt, released.crash_count) == (TaskState.PENDING, 0, 0)
    assert mill.history(task) == ["submitted", "claimed", "released"]
    assert gone(family)
    assert not Path(temp_dir).exists()
    assert list(mill.app.paths.run.glob("*.bell")) == []


def test_worker_told_to_stop_kills_what_hears_nothing_without_counting_it(mill: Mill) -> None:
    worker = mill.start()
    task = mill.submit("deaf")
    _, temp_dir = mill.started(task)
    family = mill.tree(worker)

    worker.send_signal(signal.SIGINT)

    assert worker.wait(timeout=15) == 0
    released = mill.app.store.get(task.id)
    assert (released.state, released.attempt, released.crash_count) == (TaskState.PENDING, 0, 0)
    assert gone(family)
    assert not Path(temp_dir).exists()


def test_worker_survives_a_slot_that_stops_reading(mill: Mill) -> None:
    worker = mill.start()
    eventually(lambda: len(mill.tree(worker)) == 2)
    mill.ended(mill.app.tasks.submit("ping", {}))
    (slot,) = mill.tree(worker)[1:]
    used: list[float] = []

    def is_idle() -> bool:
        # The row says so before the slot has told its supervisor: idle is who needs no more of the processor.
        used.append(sum(slot.cpu_times()[:2]))
        return used[-10:] == [used[-1]] * 10

    eventually(is_idle)
    pause(mill.app.database, slot)

    # Each ring is passed on to the idle slot, until its ears are full.
    eventually(lambda: mill.app.bell.ring() and not slot.is_running(), 20)

    assert mill.ended(mill.app.tasks.submit("ping", {"note": "again"})).result == {"note": "again"}
    assert worker.poll() is None


@pytest.mark.parametrize("make_of_database", ["sqlite"], indirect=True)
def test_worker_outlives_a_database_that_is_locked_for_longer_than_it_waits(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(database={"busy_timeout_seconds": 0.2}, tasks={"lease_seconds": 30.0})
    worker = mill.start()
    task = mill.submit("patient")
    pid, _ = mill.started(task)

    with mill.app.database.write():
        os.kill(int(pid), signal.SIGKILL)
        eventually(lambda: mill.logs().count("worker.turn_failed") >= 2)

    mill.started(task, lease=2)
    mill.let_go(task)
    assert mill.ended(task).result == {"lease": 2}
    assert worker.poll() is None
