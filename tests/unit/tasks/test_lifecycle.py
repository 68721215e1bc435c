import itertools

import pytest

from gristmill.tasks.lifecycle import CRASH_LIMIT, TRANSITIONS, transition_for
from gristmill.tasks.model import (
    Cancelled,
    Completed,
    Failed,
    Lost,
    Outcome,
    Progress,
    Released,
    Retried,
    Task,
    TaskError,
    TaskState,
    Waiting,
)

ERROR = TaskError(code="unexpected_error")


def task(**values: object) -> Task:
    defaults: dict[str, object] = {
        "id": "t",
        "number": 1,
        "kind": "ping",
        "queue": "default",
        "state": TaskState.PROCESSING,
        "priority": 5,
        "payload": {},
        "attempt": 1,
        "max_attempts": 3,
        "crash_count": 0,
        "lease": 1,
        "soft_limit_seconds": 1.0,
        "hard_limit_seconds": 2.0,
        "progress": Progress(),
        "created_at": 0,
        "updated_at": 0,
    }
    return Task(**{**defaults, **values})  # type: ignore[arg-type]  # values of a table


@pytest.mark.parametrize(
    ("outcome", "expected", "when_cancel_was_asked"),
    [
        (Completed(), "completed", "completed"),
        (Failed(error=ERROR), "failed", "failed"),
        (Cancelled(), "cancelled", "cancelled"),
        (Retried(error=ERROR, delay_seconds=1), "retry_scheduled", "cancelled"),
        (Lost(reason="x"), "worker_lost", "cancelled"),
        (Released(reason="x"), "released", "cancelled"),
        (Waiting(spawn=[]), "waiting", "cancelled"),
    ],
)
def test_transition_for_each_outcome(outcome: Outcome, expected: str, when_cancel_was_asked: str) -> None:
    assert transition_for(task(), outcome).name == expected
    assert transition_for(task(cancel_requested=True), outcome).name == when_cancel_was_asked


@pytest.mark.parametrize(
    ("attempt", "crashes", "expected"),
    [
        (1, 0, "retry_scheduled"),
        (2, 0, "retry_scheduled"),
        (3, 0, "failed"),
        (4, 0, "failed"),
        (3, 1, "retry_scheduled"),
        (4, 1, "failed"),
        (4, 2, "retry_scheduled"),
        (5, 2, "failed"),
    ],
)
def test_transition_of_a_retry_counts_the_tries_that_ended_by_themselves(
    attempt: int, crashes: int, expected: str
) -> None:
    outcome = Retried(error=ERROR, delay_seconds=1)

    assert transition_for(task(attempt=attempt, crash_count=crashes), outcome).name == expected


@pytest.mark.parametrize("crashes", range(CRASH_LIMIT + 1))
def test_transition_of_a_lost_task_parks_at_the_limit(crashes: int) -> None:
    expected = "worker_lost" if crashes < CRASH_LIMIT - 1 else "parked"

    assert transition_for(task(crash_count=crashes), Lost(reason="x")).name == expected


def test_final_states_are_left_by_a_retry_alone_and_success_by_nothing() -> None:
    leaving = {
        (source, name)
        for (name, transition), source in itertools.product(TRANSITIONS.items(), TaskState)
        if source.is_final and source in transition.sources
    }

    assert leaving == {(TaskState.FAILED, "retried"), (TaskState.CANCELLED, "retried")}
    assert {state for state in TaskState if state.is_final} == {
        TaskState.COMPLETED,
        TaskState.FAILED,
        TaskState.CANCELLED,
    }


def test_every_state_is_reached_and_every_open_state_can_end() -> None:
    reached = {TaskState.PENDING}
    while further := {t.target for t in TRANSITIONS.values() if t.sources & reached} - reached:
        reached |= further
    endings = {source for t in TRANSITIONS.values() if t.target.is_final for source in t.sources}

    assert reached == set(TaskState)
    assert endings == {TaskState.PENDING, TaskState.PROCESSING}
