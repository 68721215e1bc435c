"""Every operation in every state: what it may change is listed, and everything else changes nothing."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gristmill.tasks.lifecycle import TRANSITIONS
from gristmill.tasks.model import Completed, Lost, Progress, Released, Task, TaskFilter, TaskState
from tests.support.clock import TestClock
from tests.support.tasks import OUTCOMES, STATES, WORKER, Bench

Operation = Callable[[Bench, Task], object]


def _finish(name: str) -> Operation:
    return lambda bench, task: bench.store.finish(task.id, task.lease, OUTCOMES[name](task))


OPERATIONS: Mapping[str, Operation] = {
    "claim": lambda bench, task: bench.claim(ids=[task.id]),
    "progress": lambda bench, task: bench.store.progress(task.id, task.lease, Progress(stage="new", done=1, total=2)),
    "cancel": lambda bench, task: bench.cancel(task.id),
    "retry": lambda bench, task: bench.retry(task.id),
    "set_priority": lambda bench, task: bench.store.set_priority(TaskFilter(ids=[task.id]), 9),
    "promote_due": lambda bench, _: bench.store.promote_due(),
    "reassign": lambda bench, task: bench.store.reassign(
        "local", lambda task_id: "other" if task_id == task.id else "local", limit=10
    ),
    "remove_worker": lambda bench, _: bench.store.remove_worker(WORKER, Lost(reason="heartbeat stopped")),
    "purge_items": lambda bench, _: bench.store.purge_items(),
    "purge": lambda bench, task: bench.store.purge(finished_before=task.created_at, limit=10),
    **{f"finish_{name}": _finish(name) for name in OUTCOMES},
}

PENDING, PROCESSING = TaskState.PENDING, TaskState.PROCESSING
COMPLETED, FAILED, CANCELLED = TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED

EFFECTS: Mapping[tuple[str, str], tuple[TaskState, str | None]] = {
    ("claim", "pending"): (PROCESSING, "claimed"),
    ("progress", "processing"): (PROCESSING, None),
    ("progress", "cancel_asked"): (PROCESSING, None),
    ("cancel", "pending"): (CANCELLED, "cancelled"),
    ("cancel", "scheduled"): (CANCELLED, "cancelled"),
    ("cancel", "waiting"): (CANCELLED, "cancelled"),
    ("cancel", "processing"): (PROCESSING, "cancel_requested"),
    ("retry", "failed"): (PENDING, "retried"),
    ("retry", "cancelled"): (PENDING, "retried"),
    **{
        ("set_priority", state): (PENDING if state in ("pending", "scheduled") else PROCESSING, "priority_changed")
        for state in ("pending", "scheduled", "processing", "cancel_asked", "waiting")
    },
    ("reassign", "pending"): (PENDING, "engine_changed"),
    ("reassign", "scheduled"): (PENDING, "engine_changed"),
    ("remove_worker", "processing"): (PENDING, "worker_lost"),
    ("remove_worker", "cancel_asked"): (CANCELLED, "cancelled"),
    ("finish_completed", "processing"): (COMPLETED, "completed"),
    ("finish_failed", "processing"): (FAILED, "failed"),
    ("finish_cancelled", "processing"): (CANCELLED, "cancelled"),
    ("finish_retried", "processing"): (PENDING, "retry_scheduled"),
    ("finish_lost", "processing"): (PENDING, "worker_lost"),
    ("finish_released", "processing"): (PENDING, "released"),
    ("finish_waiting", "processing"): (PROCESSING, "waiting"),
    # A requested cancel wins over all that would go on, and undoes no end that came first.
    ("finish_completed", "cancel_asked"): (COMPLETED, "completed"),
    ("finish_failed", "cancel_asked"): (FAILED, "failed"),
    ("finish_cancelled", "cancel_asked"): (CANCELLED, "cancelled"),
    ("finish_retried", "cancel_asked"): (CANCELLED, "cancelled"),
    ("finish_lost", "cancel_asked"): (CANCELLED, "cancelled"),
    ("finish_released", "cancel_asked"): (CANCELLED, "cancelled"),
    ("finish_waiting", "cancel_asked"): (CANCELLED, "cancelled"),
}

PAIRS = [(operation, state) for operation in OPERATIONS for state in STATES]
INERT = [pair for pair in PAIRS if pair not in EFFECTS]


def _everything(bench: Bench) -> Any:
    tasks = bench.store.find(TaskFilter(), limit=100)
    items = {task.id: bench.store.items(task.id) for task in tasks}
    return tasks, items, bench.store.events()


@pytest.mark.parametrize(("operation", "state"), INERT)
def test_store_changes_nothing_when_the_state_forbids_the_operation(bench: Bench, operation: str, state: str) -> None:
    task = STATES[state](bench)
    before = _everything(bench)

    OPERATIONS[operation](bench, task)

    assert _everything(bench) == before


@pytest.mark.parametrize(("operation", "state"), EFFECTS)
def test_store_moves_and_records_once_when_the_state_allows_the_operation(
    bench: Bench, task_clock: TestClock, operation: str, state: str
) -> None:
    task = STATES[state](bench)
    known = len(bench.events(task))
    task_clock.pass_time(1)

    OPERATIONS[operation](bench, task)

    target, event = EFFECTS[operation, state]
    after = bench.get(task)
    new = [event.name for event in bench.events(task)[known:]]
    assert after.state is target
    assert new == ([] if event is None else [event])
    assert after != task
    assert (after.finished_at is not None) == target.is_final


def test_effects_name_only_transitions_of_the_table() -> None:
    sources = {name: TaskState(name) for name in ("pending", "completed", "failed", "cancelled")}
    sources |= {"scheduled": PENDING, "processing": PROCESSING, "cancel_asked": PROCESSING, "waiting": PROCESSING}

    for (_, state), (target, event) in EFFECTS.items():
        if event is not None and event in TRANSITIONS:
            assert sources[state] in TRANSITIONS[event].sources
            assert target is TRANSITIONS[event].target


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name.startswith(("finish", "progress"))])
@pytest.mark.parametrize("offset", [-1, 1])
def test_store_refuses_a_write_when_the_lease_is_not_the_current_one(bench: Bench, operation: str, offset: int) -> None:
    task = bench.started()
    before = _everything(bench)
    other = type(task)(**{name: getattr(task, name) for name in task.__slots__} | {"lease": task.lease + offset})

    answer = OPERATIONS[operation](bench, other)

    assert not answer
    assert _everything(bench) == before


def test_events_record_each_step_with_attempt_lease_and_worker(bench: Bench) -> None:
    task = bench.started()
    bench.end(task, Released(reason="worker shut down"))
    bench.end(bench.take(task.id), Completed())

    events = bench.events(task)

    assert [(event.name, event.attempt, event.lease) for event in events] == [
        ("submitted", 0, 0),
        ("claimed", 1, 1),
        ("released", 0, 1),
        ("claimed", 1, 2),
        ("completed", 1, 2),
    ]
    assert [event.worker_id or event.detail.get("worker") for event in events] == [None, WORKER, WORKER, WORKER, WORKER]
    assert events[2].detail["reason"] == "worker shut down"


def test_events_of_all_tasks_grow_in_seq_and_continue_after_a_cursor(bench: Bench) -> None:
    first, second = bench.ended(Completed()), bench.add()

    everything = bench.store.events()
    page = bench.store.events(limit=2)
    rest = bench.store.events(after=page[-1].seq)

    assert [event.seq for event in everything] == sorted({event.seq for event in everything})
    assert [*page, *rest] == everything
    assert [event.task_id for event in everything] == [first.id] * 3 + [second.id]
    assert bench.store.events(first.id, after=everything[0].seq) == everything[1:3]
    assert bench.store.events("nobody") == []


def test_events_never_reuse_a_seq_after_a_purge(bench: Bench) -> None:
    task = bench.ended(Completed())
    last = bench.events(task)[-1].seq
    bench.store.purge(finished_before=task.updated_at + 1, limit=10)

    later = bench.add()

    assert bench.events(task) == []
    assert bench.events(later)[0].seq > last
    assert later.number > task.number
