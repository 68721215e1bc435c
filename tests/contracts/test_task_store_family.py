"""Parents that wait for children, and what becomes of them when children end, fail or run again."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gristmill.failpoints import InjectedFault, arm
from gristmill.tasks.model import (
    Cancelled,
    Completed,
    Failed,
    Lost,
    NewTask,
    Outcome,
    Progress,
    Released,
    Retried,
    Task,
    TaskFilter,
    TaskState,
    Waiting,
)
from tests.support.tasks import ERROR, Bench, new_task


def _end_child(bench: Bench, child: Task, outcome: Outcome) -> Task:
    return bench.end(bench.take(child.id), outcome)


@contextmanager
def interrupted() -> Iterator[None]:
    """What is done inside stops when some of a task's many children are there, and others are not."""
    arm("between_generations:raise")
    try:
        with pytest.raises(InjectedFault):
            yield
    finally:
        arm("")


def children_of(parent: Task) -> list[NewTask]:
    """More than are added in one transaction."""
    return [new_task(parent_id=parent.id) for _ in range(600)]


def test_waiting_task_is_held_by_nobody_and_claimed_by_nobody(bench: Bench) -> None:
    parent, (child,) = bench.waiting(1)

    assert (parent.state, parent.worker_id) == (TaskState.PROCESSING, None)
    assert bench.claim(ids=[parent.id]) == []
    assert bench.store.progress(parent.id, parent.lease, Progress(done=9)) is False
    assert bench.store.finish(parent.id, parent.lease, Completed()) is None
    assert child.state is TaskState.PENDING


def test_waiting_task_resumes_with_its_checkpoint_when_the_last_child_ended(bench: Bench) -> None:
    parent = bench.started()
    spawn = [new_task(parent_id=parent.id) for _ in range(3)]
    bench.end(parent, Waiting(spawn=spawn, checkpoint={"settled": {"1": "x"}}, progress=Progress(total=3)))
    children = bench.store.get_many([child.id for child in spawn])

    outcomes: list[Outcome] = [Completed(), Failed(error=ERROR), Cancelled()]

    seen = []
    for child, outcome in zip(children, outcomes, strict=True):
        _end_child(bench, child, outcome)
        seen.append((bench.get(parent).state, bench.get(parent).progress.done, bench.get(parent).progress.failed))

    assert seen == [(TaskState.PROCESSING, 1, 0), (TaskState.PROCESSING, 1, 1), (TaskState.PENDING, 1, 2)]
    resumed = bench.take(parent.id)
    assert resumed.checkpoint == {"settled": {"1": "x"}}
    assert (resumed.attempt, resumed.lease) == (1, 2)
    assert resumed.progress.processed == 3
    assert bench.history(parent) == ["submitted", "claimed", "waiting", "resumed", "claimed"]


@pytest.mark.parametrize(
    "outcome", [Retried(error=ERROR, delay_seconds=9), Lost(reason="x"), Released(reason="x"), Waiting(spawn=[])]
)
def test_waiting_task_goes_on_waiting_when_a_child_has_not_ended(bench: Bench, outcome: Outcome) -> None:
    parent, (child,) = bench.waiting(1)

    _end_child(bench, child, outcome)

    assert bench.get(parent).state is TaskState.PROCESSING
    assert bench.get(parent).progress.processed == 0


def test_waiting_task_resumes_when_its_last_child_is_cancelled_before_it_ran(bench: Bench) -> None:
    parent, (child,) = bench.waiting(1)

    bench.cancel(child.id)

    assert bench.get(parent).state is TaskState.PENDING
    assert bench.get(parent).progress.failed == 1


def test_waiting_task_resumes_when_its_last_child_is_parked_with_its_worker(bench: Bench) -> None:
    parent, (child,) = bench.waiting(1)

    for _ in range(3):
        _end_child(bench, child, Lost(reason="killed by SIGSEGV"))

    assert bench.get(parent).state is TaskState.PENDING


def test_waiting_for_nothing_resumes_at_once(bench: Bench) -> None:
    task = bench.ended(Waiting(spawn=[], checkpoint={"n": 1}))

    assert (task.state, task.attempt) == (TaskState.PENDING, 0)
    assert bench.take(task.id).checkpoint == {"n": 1}


def test_waiting_answers_with_the_task_as_it_is_when_it_resumed_at_once(bench: Bench) -> None:
    task = bench.ended(Waiting(spawn=[]))

    assert task == bench.get(task)


def test_waiting_resumes_at_once_when_every_child_was_done_before(bench: Bench) -> None:
    parent, (child,) = bench.waiting(1)
    _end_child(bench, child, Completed(result={"n": 1}))
    bench.end(bench.take(parent.id), Failed(error=ERROR))
    bench.retry(parent.id)

    again = bench.end(bench.take(parent.id), Waiting(spawn=[new_task(id=child.id, parent_id=parent.id)]))

    assert again.state is TaskState.PENDING
    assert bench.get(child).result == {"n": 1}


def test_retried_parent_runs_only_the_children_that_did_not_complete(bench: Bench) -> None:
    parent, (done, failed, cancelled) = bench.waiting(3)
    _end_child(bench, done, Completed())
    _end_child(bench, failed, Failed(error=ERROR))
    bench.cancel(cancelled.id)
    bench.end(bench.take(parent.id), Failed(error=ERROR))
    bench.retry(parent.id)
    before = [bench.get(child).state for child in (done, failed, cancelled)]

    spawn = [new_task(id=child.id, parent_id=parent.id) for child in (done, failed, cancelled)]
    again = bench.end(bench.take(parent.id), Waiting(spawn=spawn, progress=Progress(failed=1, total=4)))

    assert before == [TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED]
    assert [bench.get(child).state for child in (done, failed, cancelled)] == [
        TaskState.COMPLETED,
        TaskState.PENDING,
        TaskState.PENDING,
    ]
    # What completed then counts at once, beside what the parent counted itself before it paused.
    assert again.progress == Progress(done=1, failed=1, total=4)


def test_retry_of_a_child_takes_its_failure_back_while_the_parent_waits(bench: Bench) -> None:
    parent, (failed, open_) = bench.waiting(2)
    _end_child(bench, failed, Failed(error=ERROR))
    counted = bench.get(parent).progress.failed

    bench.retry(failed.id)

    assert (counted, bench.get(parent).progress.failed) == (1, 0)
    _end_child(bench, open_, Completed())
    assert bench.get(parent).state is TaskState.PROCESSING
    _end_child(bench, failed, Completed())
    assert bench.get(parent).state is TaskState.PENDING
    assert bench.get(parent).progress.done == 2


def test_lost_parent_resumes_from_its_checkpoint(bench: Bench) -> None:
    parent = bench.ended(Waiting(spawn=[], checkpoint={"n": 1}))
    bench.end(bench.take(parent.id), Lost(reason="x"))

    again = bench.take(parent.id)

    assert (again.checkpoint, again.attempt, again.crash_count) == ({"n": 1}, 2, 1)


def test_purge_keeps_children_until_their_parent_ended(bench: Bench) -> None:
    parent, (first, second) = bench.waiting(2)
    _end_child(bench, first, Completed())
    later = bench.get(first).updated_at + 1

    assert bench.store.purge(finished_before=later, limit=10) == 0

    _end_child(bench, second, Completed())
    bench.end(bench.take(parent.id), Completed())
    assert bench.store.purge(finished_before=later, limit=10) == 3


def test_children_of_one_worker_that_is_lost_with_its_cancelled_parent_do_not_run_again(bench: Bench) -> None:
    parent, (child,) = bench.waiting(1)
    bench.cancel(child.id)
    running_parent = bench.take(parent.id)
    bench.retry(child.id)
    bench.take(child.id)
    bench.cancel(running_parent.id)

    ended = bench.store.remove_worker("worker-1", Lost(reason="heartbeat stopped"))

    assert {task.id: task.state for task in ended} == {
        parent.id: TaskState.CANCELLED,
        child.id: TaskState.CANCELLED,
    }


def test_children_that_ended_before_their_parent_waits_count_in_its_progress(bench: Bench) -> None:
    parent = bench.started()
    spawn = children_of(parent)
    waiting = Waiting(spawn=spawn, progress=Progress(skipped=2, total=602))
    with interrupted():
        bench.end(parent, waiting)
    early = bench.claim(limit=2)
    bench.end(early[0], Completed())
    bench.end(early[1], Failed(error=ERROR))
    before = bench.get(parent).progress

    ended = bench.end(parent, waiting)

    assert before == Progress()
    assert ended.state is TaskState.PROCESSING
    assert ended.progress.total == 602
    # The one that failed runs again with the attempt that was interrupted.
    assert (ended.progress.done, ended.progress.failed, ended.progress.skipped) == (1, 0, 2)
    rest = bench.claim(limit=1000)
    assert {task.id for task in early} | {task.id for task in rest} == {child.id for child in spawn}
    for child in rest:
        bench.end(child, Completed())
    again = bench.get(parent)
    assert (again.state, again.progress.done) == (TaskState.PENDING, 600)


def test_child_that_failed_before_its_parent_waits_counts_as_failed(bench: Bench) -> None:
    parent = bench.started()
    spawn = children_of(parent)
    ended: list[str] = []

    def fail_one(_failpoint: str) -> None:
        """As another worker does, as soon as there are children."""
        (child,) = bench.claim(limit=1)
        bench.end(child, Failed(error=ERROR))
        ended.append(child.id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gristmill.db.tasks.store.failpoint", fail_one)
        waits = bench.end(parent, Waiting(spawn=spawn, progress=Progress(total=600)))

    assert len(ended) == 2
    assert waits.progress == Progress(failed=2, total=600)
    assert [task.state for task in bench.store.get_many(ended)] == [TaskState.FAILED, TaskState.FAILED]


def test_cancel_between_generations_reaches_every_child(bench: Bench) -> None:
    parent = bench.started()
    waiting = Waiting(spawn=children_of(parent))
    with interrupted():
        bench.end(parent, waiting)

    bench.cancel(parent.id)
    ended = bench.end(parent, waiting)

    assert ended.state is TaskState.CANCELLED
    children = bench.store.find(TaskFilter(parent_id=parent.id), limit=1000)
    assert 0 < len(children) < len(waiting.spawn)
    assert {child.state for child in children} == {TaskState.CANCELLED}


def test_attempt_that_lost_its_lease_adds_no_children(bench: Bench) -> None:
    parent = bench.started()
    waiting = Waiting(spawn=children_of(parent))
    bench.end(parent, Lost(reason="x"))
    bench.take(parent.id)

    assert bench.store.finish(parent.id, parent.lease, waiting) is None

    assert bench.store.find(TaskFilter(parent_id=parent.id), limit=1) == []


def test_parent_that_was_lost_between_generations_has_each_child_once(bench: Bench) -> None:
    parent = bench.started()
    waiting = Waiting(spawn=children_of(parent))
    with interrupted():
        bench.end(parent, waiting)
    bench.end(parent, Lost(reason="x"))

    bench.end(bench.take(parent.id), waiting)

    children = bench.store.find(TaskFilter(parent_id=parent.id), limit=1000)
    assert sorted(child.id for child in children) == sorted(child.id for child in waiting.spawn)
    assert {tuple(bench.history(child)) for child in children} == {("submitted",)}


def images(done: int, *, failed: int = 0, skipped: int = 0) -> Progress:
    return Progress(unit="images", done=done, failed=failed, skipped=skipped, total=done + failed + skipped)


def test_completed_child_counts_with_its_own_numbers_where_its_parent_counts_in_its_unit(bench: Bench) -> None:
    parent, children = bench.waiting(3, progress=Progress(unit="images", skipped=5, total=100))

    _end_child(bench, children[0], Completed(progress=images(30, failed=2)))
    _end_child(bench, children[1], Completed(progress=images(28, skipped=4)))
    now = bench.get(parent).progress

    assert (now.done, now.failed, now.skipped, now.total) == (58, 2, 9, 100)


def test_children_that_end_together_count_together(bench: Bench) -> None:
    parent, children = bench.waiting(3, progress=Progress(unit="images", total=100))
    taken = [bench.take(child.id) for child in children[:2]]

    bench.store.finish_all([(task.id, task.lease, Completed(progress=images(10, failed=1))) for task in taken])

    assert (bench.get(parent).progress.done, bench.get(parent).progress.failed) == (20, 2)


@pytest.mark.parametrize("unit", ["pages", "tasks", ""])
def test_child_that_counts_in_another_unit_or_in_tasks_is_one(bench: Bench, unit: str) -> None:
    kept = Progress(unit="tasks" if unit == "tasks" else "images", total=2)
    parent, children = bench.waiting(2, progress=kept)

    _end_child(bench, children[0], Completed(progress=Progress(unit=unit, done=40, failed=3)))

    assert (bench.get(parent).progress.done, bench.get(parent).progress.failed) == (1, 0)


def test_child_that_did_not_complete_is_one_failure_whatever_it_had_counted(bench: Bench) -> None:
    parent, children = bench.waiting(2, progress=Progress(unit="images", total=64))

    _end_child(bench, children[0], Failed(error=ERROR, progress=images(20)))

    assert (bench.get(parent).progress.done, bench.get(parent).progress.failed) == (0, 1)


def test_children_that_ended_before_their_parent_waited_have_counted_alike(bench: Bench) -> None:
    parent = bench.started()
    spawn = children_of(parent)
    with interrupted():
        bench.end(parent, Waiting(spawn=spawn, progress=Progress(unit="images", total=1000)))
    (early,) = bench.claim(ids=[spawn[0].id])
    bench.end(early, Completed(progress=images(7, failed=3)))

    bench.end(parent, Waiting(spawn=spawn, progress=Progress(unit="images", total=1000)))

    assert (bench.get(parent).progress.done, bench.get(parent).progress.failed) == (7, 3)


def test_units_done_are_told_by_engine(bench: Bench) -> None:
    parent, children = bench.waiting(3, progress=Progress(unit="images", total=100))
    for child, done in zip(children, (10, 20, 0), strict=True):
        _end_child(bench, child, Completed(progress=images(done)))

    assert bench.store.done_by_engine(TaskFilter(parent_id=parent.id)) == {children[0].engine: 30}
    assert bench.store.done_by_engine(TaskFilter(parent_id=children[0].id)) == {}
