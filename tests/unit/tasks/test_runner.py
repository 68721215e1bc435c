import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from gristmill.errors import (
    Conflict,
    Forbidden,
    GristmillError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    StepFailed,
    Unavailable,
)
from gristmill.kinds import KINDS
from gristmill.tasks.context import CancelRequested, LeaseLost, ReleaseRequested, RunContext, SoftLimitReached
from gristmill.tasks.model import Completed, Outcome, Progress, Retried, Task, TaskError, TaskState
from gristmill.tasks.ports import Handler, TaskStore
from gristmill.tasks.runner import Runner
from tests.support.clock import TestClock
from tests.support.flaky import FlakyStore
from tests.support.tasks import ERROR, Bench

Run = Callable[..., Task | None]


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def run(bench: Bench, clock: TestClock, tmp_path: Path, slept: list[float]) -> Run:
    """Runs one attempt of a task with the given handler."""

    def run(handler: Handler, *, store: Any = None, task: Task | None = None, guard: Any = None) -> Task | None:
        real = cast(TaskStore, store or bench.store)
        runner = Runner(real, KINDS, {"ping": handler}, clock, random_source=random.Random(1), sleep=slept.append)
        task = task or bench.started()
        context = RunContext(task, real, clock, temp_dir=tmp_path / "attempt")
        return runner.run(task, context, guard=guard or (lambda attempt: attempt()))

    return run


def raising(error: BaseException) -> Handler:
    def handler(context: Any, payload: Any, /) -> Outcome:
        raise error

    return handler


def answering(answer: Any) -> Handler:
    def handler(context: Any, payload: Any, /) -> Any:
        return answer

    return handler


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (CancelRequested(), TaskState.CANCELLED, None),
        (ReleaseRequested(), TaskState.PENDING, None),
        (SoftLimitReached(), TaskState.FAILED, "soft_limit_exceeded"),
        (MemoryError(), TaskState.FAILED, "memory_exhausted"),
        (InvalidInput("url_invalid", field="url", value="x"), TaskState.FAILED, "url_invalid"),
        (NotFound("document_not_found", document_id=1), TaskState.FAILED, "document_not_found"),
        (Conflict("task_not_ended"), TaskState.FAILED, "task_not_ended"),
        (Forbidden("path_outside_roots"), TaskState.FAILED, "path_outside_roots"),
        (LimitExceeded("file_too_large", limit_bytes=1), TaskState.FAILED, "file_too_large"),
        (StepFailed("pdf_damaged"), TaskState.FAILED, "pdf_damaged"),
        (GristmillError("anything"), TaskState.FAILED, "anything"),
        (Unavailable("database_busy"), TaskState.PENDING, "database_busy"),
        (ValueError("secret /path"), TaskState.PENDING, "unexpected_error"),
        (OSError(5, "secret", "/path"), TaskState.PENDING, "unexpected_error"),
        (RecursionError(), TaskState.PENDING, "unexpected_error"),
    ],
)
@pytest.mark.parametrize("place", ["handler", "guard"])
def test_runner_ends_the_attempt_as_the_exception_says(
    run: Run, bench: Bench, error: BaseException, state: TaskState, code: str | None, place: str
) -> None:
    def guard(attempt: Callable[[], Outcome]) -> Outcome:
        attempt()
        raise error

    ended = run(raising(error)) if place == "handler" else run(answering({}), guard=guard)

    assert ended is not None
    assert ended == bench.get(ended)
    assert ended.state is state
    assert (ended.error.code if ended.error else None) == code
    assert "secret" not in repr(ended.error)


def test_runner_names_the_class_alone_when_an_error_was_unexpected(run: Run) -> None:
    ended = run(raising(ValueError("secret")))

    assert ended is not None
    assert ended.error == TaskError(code="unexpected_error", facts={"error": "ValueError"})


def test_runner_delays_a_retry_by_the_policy_of_the_kind(run: Run, clock: TestClock) -> None:
    ended = run(raising(Unavailable("database_busy")))

    assert ended is not None
    assert ended.scheduled_at is not None
    assert 0 < ended.scheduled_at - clock.now() <= KINDS["ping"].retry.base_seconds * 1_000_000


def test_runner_counts_no_attempt_when_the_task_is_released(run: Run) -> None:
    ended = run(raising(ReleaseRequested()))

    assert ended is not None
    assert (ended.attempt, ended.due) == (0, True)


def test_runner_takes_a_mapping_for_success(run: Run) -> None:
    ended = run(answering({"n": 1}))

    assert ended is not None
    assert (ended.state, ended.result) == (TaskState.COMPLETED, {"n": 1})


def test_runner_retries_when_a_handler_answers_nonsense(run: Run) -> None:
    ended = run(answering(42))

    assert ended is not None
    assert (ended.state, ended.error) == (
        TaskState.PENDING,
        TaskError(code="unexpected_error", facts={"error": "TypeError"}),
    )


def test_runner_fails_a_payload_that_does_not_fit_without_calling_the_handler(run: Run, bench: Bench) -> None:
    ended = run(raising(AssertionError()), task=bench.started(payload={"nonsense": 1}))

    assert ended is not None
    assert (ended.state, ended.error and ended.error.code) == (TaskState.FAILED, "payload_field_unknown")


def test_runner_writes_the_last_word_on_progress_with_the_outcome(run: Run) -> None:
    def handler(context: Any, payload: Any, /) -> Outcome:
        for done in range(100):
            context.progress("embed", unit="chunks", done=done, total=100)
        raise StepFailed("pdf_damaged")

    ended = run(handler)

    assert ended is not None
    assert ended.progress == Progress(stage="embed", unit="chunks", done=99, total=100)


def test_runner_prefers_the_progress_of_the_outcome(run: Run) -> None:
    def handler(context: Any, payload: Any, /) -> Outcome:
        context.progress("embed", done=1)
        return Completed(progress=Progress(stage="done", done=7))

    ended = run(handler)

    assert ended is not None
    assert ended.progress == Progress(stage="done", done=7)


def test_runner_answers_nothing_when_the_lease_was_lost(run: Run, bench: Bench) -> None:
    task = bench.started()
    bench.end(task, Retried(error=ERROR, delay_seconds=0))
    now = bench.take(task.id)

    assert run(answering({}), task=task) is None
    assert run(raising(LeaseLost()), task=task) is None
    assert bench.get(task) == now


def test_runner_tries_again_when_the_effect_meets_a_newer_index(run: Run) -> None:
    def effect(transaction: Any) -> None:
        raise Conflict("version_superseded")

    ended = run(answering(Completed(effect=effect)))

    assert ended is not None
    assert (ended.state, ended.error and ended.error.code) == (TaskState.PENDING, "version_superseded")


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (NotFound("document_not_found", document_id=1), TaskState.FAILED, "document_not_found"),
        (ValueError("a defect"), TaskState.PENDING, "unexpected_error"),
    ],
)
def test_runner_ends_the_attempt_when_the_effect_fails(run: Run, error: Exception, state: TaskState, code: str) -> None:
    def effect(transaction: Any) -> None:
        raise error

    ended = run(answering(Completed(effect=effect)))

    assert ended is not None
    assert (ended.state, ended.error and ended.error.code) == (state, code)


@pytest.mark.parametrize("error", [Unavailable("database_busy"), LimitExceeded("disk_full")])
def test_runner_waits_for_the_store_rather_than_doing_the_work_again(
    run: Run, bench: Bench, slept: list[float], error: GristmillError
) -> None:
    store = FlakyStore(bench.store, "finish", error, times=8)

    ended = run(answering({"n": 1}), store=store)

    assert ended is not None
    assert (ended.state, ended.result, ended.attempt) == (TaskState.COMPLETED, {"n": 1}, 1)
    assert slept == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


@pytest.mark.parametrize("answer", [raising(ValueError()), raising(StepFailed("pdf_damaged"))])
def test_runner_lets_a_defect_of_the_store_out_when_nothing_simpler_can_be_written(
    run: Run, bench: Bench, answer: Handler
) -> None:
    store = FlakyStore(bench.store, "finish", ZeroDivisionError(), times=10)

    with pytest.raises(ZeroDivisionError):
        run(answer, store=store)

    assert store.left >= 8


def test_runner_knows_the_kinds_of_its_handlers_alone(bench: Bench, clock: TestClock) -> None:
    runner = Runner(bench.store, KINDS, {"ping": answering({})}, clock)

    assert runner.kinds == {"ping"}
