"""The history checker finds what is wrong with a history, and nothing wrong with a right one."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gristmill.tasks.model import (
    Cancelled,
    Completed,
    Event,
    Failed,
    Lost,
    Outcome,
    Released,
    Retried,
    Task,
    TaskState,
    Waiting,
)
from tests.support.history import all_events, broken_promises, what_broke
from tests.support.tasks import ERROR, Bench


def told(*names: str, leases: Sequence[int] | None = None, worker: str = "a") -> list[Event]:
    """Events of one task; without ``leases``, each claim takes the next."""
    events = []
    lease = 0
    for seq, name in enumerate(names, 1):
        lease += name == "claimed"
        at = lease if leases is None else leases[seq - 1]
        detail = {} if name in ("submitted", "claimed") else {"worker": worker}
        events.append(
            Event(seq=seq, task_id="t", at=seq, name=name, attempt=lease, lease=at, worker_id=worker, detail=detail)
        )
    return events


@pytest.fixture
def task(bench: Bench) -> Task:
    return bench.ended(Completed(), id="t")


def test_checker_accepts_every_way_through_the_lifecycle(bench: Bench) -> None:
    tasks = [
        bench.ended(outcome)
        for outcome in (
            Completed(),
            Failed(error=ERROR),
            Cancelled(),
            Retried(error=ERROR, delay_seconds=0),
            Lost(reason="x"),
            Released(reason="x"),
            Waiting(spawn=[], checkpoint={}),
        )
    ]
    bench.retry(tasks[1].id)
    bench.waiting(2)
    bench.cancel(*(task.id for task in tasks))

    assert what_broke(bench.store, [task.id for task in tasks]) == []


def test_checker_names_a_task_that_was_lost_or_has_not_ended(bench: Bench) -> None:
    open_task = bench.add()

    assert what_broke(bench.store, ["nobody"]) == ["nobody: accepted and lost"]
    assert "still pending" in what_broke(bench.store, [open_task.id])[0]
    assert what_broke(bench.store, [open_task.id], ended=False) == []


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        (told("claimed", "completed"), "claimed of a task that was None"),
        (told("submitted", "completed"), "completed of a task that was pending"),
        (told("submitted", "claimed", "claimed", "completed"), "while a held it"),
        (told("submitted", "claimed", "completed", "failed"), "failed of a task that was completed"),
        (told("submitted", "claimed", "completed", "completed"), "ended 2 times"),
        (told("submitted", "claimed", "completed", leases=[0, 1, 2]), "under lease 2 while 1 was the valid one"),
        (told("submitted", "claimed", "completed", leases=[0, 3, 3]), "lease 3 follows 0"),
        (
            told("submitted", "claimed", "worker_lost", "claimed", "completed", leases=[0, 1, 1, 1, 1]),
            "lease 1 follows",
        ),
        (told("submitted", "claimed"), "the row says completed under lease 1, the events processing"),
        ([*told("submitted", "claimed"), *told("completed", leases=[1])], "comes after"),
        (
            [
                *told("submitted", "claimed"),
                *(replace(event, seq=3) for event in told("completed", leases=[1], worker="b")),
            ],
            "completed by b while a held it",
        ),
        ([], "the events None"),
        *(
            (
                told("submitted", "claimed", "cancel_requested", name, leases=[0, 1, 1, 1]),
                f"{name} after a cancel was asked for",
            )
            for name in ("worker_lost", "released", "retry_scheduled", "parked", "waiting")
        ),
        (
            told("submitted", "claimed", "cancel_requested", "priority_changed", "worker_lost", leases=[0, 1, 1, 1, 1]),
            "worker_lost after a cancel was asked for",
        ),
    ],
)
def test_checker_finds_a_history_that_breaks_a_promise(task: Task, events: list[Event], complaint: str) -> None:
    assert any(complaint in what for what in broken_promises(["t"], [task], events))


@pytest.mark.parametrize("count", [0, 2])
def test_checker_finds_an_effect_that_did_not_happen_once(task: Task, bench: Bench, count: int) -> None:
    events = all_events(bench.store)

    assert broken_promises(["t"], [task], events, effects={"t": [1]}) == []
    assert f"{count} effects" in broken_promises(["t"], [task], events, effects={"t": [1] * count})[0]


def test_checker_finds_the_effect_of_an_attempt_that_had_lost_its_lease(task: Task, bench: Bench) -> None:
    broken = broken_promises(["t"], [replace(task, lease=2)], all_events(bench.store), effects={"t": [1]})

    assert any("an effect under lease 1 of a task that completed under 2" in what for what in broken)


def test_checker_finds_an_effect_of_a_task_that_did_not_complete(bench: Bench) -> None:
    task = bench.ended(Failed(error=ERROR))

    broken = what_broke(bench.store, [task.id], effects={task.id: [1]})

    assert task.state is TaskState.FAILED
    assert "1 effects of a task that is failed" in broken[0]


@pytest.mark.parametrize("end", ["cancelled", "completed", "failed"])
def test_checker_accepts_each_of_the_ends_that_a_cancel_leaves(bench: Bench, end: str) -> None:
    task = bench.started()
    bench.cancel(task.id)
    outcomes: dict[str, Outcome] = {
        "cancelled": Released(reason="x"),
        "completed": Completed(),
        "failed": Failed(error=ERROR),
    }
    bench.end(task, outcomes[end])

    assert bench.history(task)[-2:] == ["cancel_requested", end]
    assert what_broke(bench.store, [task.id], cancels=[task.id]) == []


def test_checker_accepts_that_a_cancelled_task_runs_again_when_somebody_asks(bench: Bench) -> None:
    task = bench.started()
    bench.cancel(task.id)
    bench.end(task, Cancelled())
    bench.retry(task.id)
    bench.end(bench.take(task.id), Completed())

    assert what_broke(bench.store, [task.id], cancels=[task.id]) == []


def test_checker_finds_a_cancel_that_was_accepted_and_forgotten(task: Task, bench: Bench) -> None:
    broken = what_broke(bench.store, [task.id], cancels=[task.id])

    assert "its cancel was accepted and forgotten" in broken[0]
