from pathlib import Path
from typing import Any

import pytest

from gristmill.errors import Unavailable
from gristmill.tasks.context import CancelRequested, LeaseLost, RunContext, SoftLimitReached, Stop
from gristmill.tasks.model import Completed, Progress, Released, Waiting
from tests.support.clock import TestClock
from tests.support.flaky import FlakyStore
from tests.support.tasks import Bench, new_task


def context_of(bench: Bench, clock: TestClock, tmp_path: Path, **options: Any) -> RunContext:
    return RunContext(bench.started(), bench.store, clock, temp_dir=tmp_path / "attempt", **options)


def test_progress_is_merged_from_the_start(bench: Bench, clock: TestClock, tmp_path: Path) -> None:
    context = context_of(bench, clock, tmp_path)
    written = []

    for done in range(10):
        context.progress("embed", unit="chunks", done=done, total=10)
        written.append(bench.get(context.task).progress.done)
        clock.pass_time(0.1)

    # Every third report falls outside of the time in which they are merged.
    assert written == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9]
    assert context.latest_progress == Progress(stage="embed", unit="chunks", done=9, total=10)


def test_progress_is_merged_by_the_time_that_went_by_when_the_wall_clock_jumps(
    bench: Bench, clock: TestClock, tmp_path: Path
) -> None:
    context = context_of(bench, clock, tmp_path)
    context.progress("embed", done=1)
    clock.jump(-3600)
    clock.pass_time(0.3)

    context.progress("embed", done=2)

    assert bench.get(context.task).progress.done == 2


def test_progress_ends_the_attempt_when_the_lease_was_lost(bench: Bench, clock: TestClock, tmp_path: Path) -> None:
    context = context_of(bench, clock, tmp_path)
    bench.end(context.task, Released(reason="x"))
    clock.pass_time(1)

    with pytest.raises(LeaseLost):
        context.progress("embed")


def test_progress_that_cannot_be_written_does_not_stop_the_work(bench: Bench, clock: TestClock, tmp_path: Path) -> None:
    store: Any = FlakyStore(bench.store, "progress", Unavailable("database_busy"), times=1)
    context = RunContext(bench.started(), store, clock, temp_dir=tmp_path)

    clock.pass_time(1)
    context.progress("embed", done=1)
    clock.pass_time(1)
    context.progress("embed", done=2)

    assert store.left == 0
    assert bench.get(context.task).progress.done == 2


def test_check_and_progress_raise_what_was_asked_for(bench: Bench, clock: TestClock, tmp_path: Path) -> None:
    asked: list[Stop | None] = [None]
    context = context_of(bench, clock, tmp_path, requested_stop=lambda: asked[0])
    context.check()
    context.progress("embed")

    asked[0] = CancelRequested()

    with pytest.raises(CancelRequested):
        context.check()
    with pytest.raises(CancelRequested):
        context.progress("embed")


def test_stop_is_not_swallowed_by_a_handler_that_catches_every_exception() -> None:
    assert not issubclass(Stop, Exception)
    assert issubclass(SoftLimitReached, Stop)


def test_temp_dir_is_made_when_asked_for_and_private(bench: Bench, clock: TestClock, tmp_path: Path) -> None:
    context = context_of(bench, clock, tmp_path)
    before = (tmp_path / "attempt").exists()

    made = context.temp_dir

    assert not before
    assert made.stat().st_mode & 0o777 == 0o700
    assert context.temp_dir == made


def test_children_come_in_the_order_they_were_spawned(bench: Bench, clock: TestClock, tmp_path: Path) -> None:
    context = context_of(bench, clock, tmp_path)
    spawn = [new_task(parent_id=context.task.id) for _ in range(1100)]
    bench.add()
    bench.end(context.task, Waiting(spawn=spawn))
    bench.end(bench.take(spawn[1].id), Completed(result={"n": 1}))

    children = context.children()

    assert [child.id for child in children] == [child.id for child in spawn]
    assert children[1].result == {"n": 1}
