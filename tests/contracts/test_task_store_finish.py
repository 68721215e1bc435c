"""What the end of an attempt writes, all of it or nothing."""

import math
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from gristmill.errors import Conflict
from gristmill.tasks.lifecycle import CRASH_LIMIT
from gristmill.tasks.model import (
    Cancelled,
    Completed,
    Effect,
    Failed,
    Lost,
    Outcome,
    Progress,
    Released,
    Retried,
    TaskError,
    TaskFilter,
    TaskState,
)
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, WORKER, Bench, new_task


def test_finish_writes_result_items_and_progress_when_completed(bench: Bench, task_clock: TestClock) -> None:
    task = bench.started()
    progress = Progress(stage="done", unit="pages", done=2, total=2)
    task_clock.pass_time(1)

    ended = bench.end(task, Completed(result={"名": [1]}, items=[{"n": 0}, {"n": 1}], progress=progress))

    assert ended == bench.get(task)
    assert (ended.state, ended.result, ended.item_count, ended.progress) == (
        TaskState.COMPLETED,
        {"名": [1]},
        2,
        progress,
    )
    assert (ended.finished_at, ended.worker_id, ended.error) == (task_clock.now(), None, None)
    assert bench.store.items(task.id) == [{"n": 0}, {"n": 1}]


def test_finish_leaves_progress_alone_when_the_outcome_has_none(bench: Bench) -> None:
    task = bench.started()
    bench.store.progress(task.id, task.lease, Progress(stage="embed", done=1))

    assert bench.end(task, Completed()).progress == Progress(stage="embed", done=1)


def test_finish_clears_the_error_of_an_earlier_attempt_when_completed(bench: Bench) -> None:
    task = bench.ended(Retried(error=ERROR, delay_seconds=0))

    assert task.error == ERROR
    assert bench.end(bench.take(), Completed()).error is None


@pytest.mark.parametrize("outcome", [Completed, lambda **values: Failed(error=ERROR, **values)])
def test_effect_writes_in_the_transaction_and_adds_to_the_result(bench: Bench, outcome: Any) -> None:
    task = bench.started()

    def effect(transaction: Any) -> dict[str, Any]:
        transaction.execute(text("INSERT INTO leaders VALUES ('effect', 'me', 1)"))
        held = transaction.execute(text("SELECT state FROM tasks")).scalar_one()
        return {"seen": held}

    ended = bench.end(task, outcome(effect=effect))

    assert ended.result is not None
    assert ended.result["seen"] == "processing"


def test_effect_answer_joins_the_result_and_may_be_none(bench: Bench) -> None:
    joined = bench.ended(Completed(result={"a": 1, "b": 1}, effect=lambda _: {"b": 2, "c": 3}))
    alone = bench.ended(Completed(result={"a": 1}, effect=lambda _: None))

    assert joined.result == {"a": 1, "b": 2, "c": 3}
    assert alone.result == {"a": 1}


def _writes(then: Exception | None = None) -> Effect:
    def effect(transaction: Any) -> None:
        transaction.execute(text("INSERT INTO leaders VALUES ('effect', 'me', 1)"))
        if then is not None:
            raise then

    return effect


@pytest.mark.parametrize("error", [Conflict("embeddings_incomplete"), ValueError("a defect")])
def test_finish_does_nothing_at_all_when_the_effect_raises(bench: Bench, error: Exception) -> None:
    task = bench.started()
    events = bench.events(task)
    outcome = Completed(result={"n": 1}, items=[{"n": 1}], spawn=[new_task(id="spawned")], effect=_writes(then=error))

    with pytest.raises(type(error)) as caught:
        bench.store.finish(task.id, task.lease, outcome)

    assert caught.value is error
    assert bench.get(task) == task
    assert bench.events(task) == events
    assert bench.store.items(task.id) == []
    assert bench.store.get_many(["spawned"]) == []
    # The attempt goes on and can still end; what the effect wrote is gone, or writing it again would fail.
    assert bench.end(task, Completed(effect=_writes())).state is TaskState.COMPLETED


def test_effect_is_not_called_when_the_lease_is_stale(bench: Bench) -> None:
    task = bench.ended(Released(reason="worker shut down"))
    current = bench.take()
    calls: list[object] = []

    assert bench.store.finish(task.id, task.lease, Completed(effect=calls.append)) is None

    assert calls == []
    assert bench.get(task) == current


def test_finish_does_nothing_when_json_cannot_hold_the_result(bench: Bench) -> None:
    task = bench.started()

    with pytest.raises(StatementError, match="JSON"):
        bench.store.finish(task.id, task.lease, Completed(result={"score": math.nan}))

    assert bench.get(task) == task


def test_completed_spawns_tasks_in_the_same_step(bench: Bench) -> None:
    bench.ended(Completed(spawn=[new_task(id="next", priority=8)]))

    assert (bench.get("next").state, bench.get("next").priority) == (TaskState.PENDING, 8)
    assert bench.history("next") == ["submitted"]


def test_retried_waits_for_its_delay_with_the_error_shown(bench: Bench, task_clock: TestClock) -> None:
    task = bench.ended(Retried(error=ERROR, delay_seconds=1.5))

    assert (task.state, task.due, task.error) == (TaskState.PENDING, False, ERROR)
    assert task.scheduled_at == task_clock.now() + 1_500_000
    assert bench.claim() == []
    task_clock.pass_time(1.5)
    assert bench.store.promote_due() == 1
    assert bench.take(task.id).attempt == 2


def test_retried_is_due_at_once_when_there_is_no_delay(bench: Bench) -> None:
    task = bench.ended(Retried(error=ERROR, delay_seconds=0))

    assert (task.due, task.scheduled_at) == (True, None)


def test_retried_fails_with_its_error_when_attempts_are_used_up(bench: Bench) -> None:
    task = bench.add(max_attempts=3)
    states = [bench.end(bench.take(), Retried(error=ERROR, delay_seconds=0)).state for _ in range(3)]

    assert states == [TaskState.PENDING, TaskState.PENDING, TaskState.FAILED]
    assert (bench.get(task).error, bench.get(task).attempt) == (ERROR, 3)
    assert bench.history(task)[-1] == "failed"


def test_lost_runs_again_at_once_and_is_parked_at_the_limit(bench: Bench) -> None:
    task = bench.add(max_attempts=1)
    states = [bench.end(bench.take(), Lost(reason="killed by SIGSEGV")).state for _ in range(CRASH_LIMIT)]

    parked = bench.get(task)
    assert states == [TaskState.PENDING] * (CRASH_LIMIT - 1) + [TaskState.FAILED]
    assert parked.crash_count == CRASH_LIMIT
    assert parked.error == TaskError(code="task_parked", facts={"crashes": CRASH_LIMIT, "reason": "killed by SIGSEGV"})
    assert bench.history(task)[-1] == "parked"
    assert bench.events(task)[-1].detail["reason"] == "killed by SIGSEGV"


def test_lost_attempts_do_not_use_up_the_tries_for_errors(bench: Bench) -> None:
    task = bench.add(max_attempts=2)
    outcomes: list[Outcome] = [
        Lost(reason="x"),
        Retried(error=ERROR, delay_seconds=0),
        Lost(reason="x"),
        Retried(error=ERROR, delay_seconds=0),
    ]

    states = [bench.end(bench.take(), outcome).state for outcome in outcomes]

    assert states == [TaskState.PENDING, TaskState.PENDING, TaskState.PENDING, TaskState.FAILED]
    assert (bench.get(task).attempt, bench.get(task).crash_count) == (4, 2)


def test_released_counts_no_attempt_however_often(bench: Bench) -> None:
    task = bench.add(max_attempts=1)
    for _ in range(5):
        bench.end(bench.take(), Released(reason="worker shut down"))

    assert (bench.get(task).attempt, bench.get(task).lease) == (0, 5)
    assert bench.end(bench.take(), Completed()).attempt == 1


def test_released_keeps_its_place_among_equals(bench: Bench) -> None:
    first, second = bench.add(), bench.add()
    bench.end(bench.take(first.id), Released(reason="worker shut down"))

    assert [bench.take().id, bench.take().id] == [first.id, second.id]


@pytest.mark.parametrize("outcome", [Completed(), Failed(error=ERROR), Cancelled()])
def test_every_final_outcome_lets_go_of_the_worker(bench: Bench, outcome: Outcome) -> None:
    task = bench.ended(outcome)

    assert task.worker_id is None
    assert bench.store.held(WORKER) == []
    assert bench.store.counts(TaskFilter(states=[TaskState.PROCESSING])) == {}


def test_progress_is_recorded_while_the_lease_holds(bench: Bench, task_clock: TestClock) -> None:
    task = bench.started()
    progress = Progress(stage="解析", unit="pages", done=1, failed=2, skipped=3, total=10)
    task_clock.pass_time(1)

    assert bench.store.progress(task.id, task.lease, progress) is True

    assert bench.get(task).progress == progress
    assert bench.get(task).updated_at == task_clock.now()
    assert bench.history(task) == ["submitted", "claimed"]
