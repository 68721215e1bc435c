"""Asking tasks to stop, alone and with their families."""

import threading

import pytest

from gristmill.tasks.model import Cancelled, Completed, Lost, Released, Retried, Task, TaskFilter, TaskState, Waiting
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, WORKER, Bench, new_task


def test_cancel_ends_a_pending_task_that_then_never_starts(bench: Bench, task_clock: TestClock) -> None:
    task = bench.add()

    assert bench.cancel(task.id) == 1

    cancelled = bench.get(task)
    assert (cancelled.state, cancelled.cancel_requested) == (TaskState.CANCELLED, True)
    assert cancelled.finished_at == task_clock.now()
    assert bench.claim() == []


def test_cancel_of_a_scheduled_task_holds_when_its_time_comes(bench: Bench, task_clock: TestClock) -> None:
    task = bench.add(scheduled_at=task_clock.now() + 1_000_000)
    bench.cancel(task.id)
    task_clock.pass_time(2)

    assert bench.store.promote_due() == 0
    assert bench.claim() == []


def test_cancel_asks_a_running_task_once(bench: Bench) -> None:
    task = bench.started()

    assert [bench.cancel(task.id), bench.cancel(task.id)] == [1, 0]

    assert bench.get(task).cancel_requested
    assert bench.history(task) == ["submitted", "claimed", "cancel_requested"]
    assert [held.id for held in bench.store.held(WORKER, cancel_requested=True)] == [task.id]


def test_held_tells_apart_who_was_asked_to_stop(bench: Bench) -> None:
    asked, other = bench.started(), bench.started()
    bench.cancel(asked.id)

    assert {task.id for task in bench.store.held(WORKER)} == {asked.id, other.id}
    assert [task.id for task in bench.store.held(WORKER, cancel_requested=True)] == [asked.id]
    assert bench.store.held("stranger") == []


def test_cancel_of_what_does_not_match_changes_nothing(bench: Bench) -> None:
    bench.add()

    assert bench.cancel("nobody") == 0
    assert bench.store.request_cancel(TaskFilter(kinds=["other"])) == 0


def test_cancel_reaches_all_descendants_of_a_waiting_task(bench: Bench) -> None:
    parent, (running, pending, done) = bench.waiting(3)
    bench.end(bench.take(done.id), Completed())
    bench.take(running.id)
    grandparent_like = bench.store.get(running.id)
    grandchild = new_task(parent_id=running.id)
    bench.end(grandparent_like, Waiting(spawn=[grandchild]))
    bench.take(grandchild.id)

    changed = bench.cancel(parent.id)

    states = {task.id: task.state for task in bench.store.find(TaskFilter(), limit=10)}
    assert changed == 4
    assert states == {
        parent.id: TaskState.CANCELLED,
        running.id: TaskState.CANCELLED,
        pending.id: TaskState.CANCELLED,
        done.id: TaskState.COMPLETED,
        grandchild.id: TaskState.PROCESSING,
    }
    assert bench.get(grandchild.id).cancel_requested
    assert bench.get(done) == bench.store.get(done.id)


def test_cancel_of_a_waiting_task_leaves_nothing_to_resume(bench: Bench) -> None:
    parent, (running,) = bench.waiting(1)
    child = bench.take(running.id)
    bench.cancel(parent.id)

    bench.end(child, Cancelled())

    assert bench.get(parent).state is TaskState.CANCELLED
    assert bench.history(parent)[-1] == "cancelled"


def test_cancel_of_a_running_task_takes_its_children_along_when_it_ends(bench: Bench) -> None:
    parent, (failed, open_) = bench.waiting(2)
    bench.cancel(failed.id)
    bench.end(bench.take(open_.id), Completed())
    running = bench.take(parent.id)
    bench.retry(failed.id)
    bench.store.finish(running.id, running.lease, Cancelled())

    assert bench.get(failed).state is TaskState.CANCELLED


def test_cancel_wins_over_a_pause_and_nothing_is_spawned(bench: Bench) -> None:
    task = bench.started()
    bench.cancel(task.id)

    ended = bench.end(task, Waiting(spawn=[new_task(id="child", parent_id=task.id)]))

    assert ended.state is TaskState.CANCELLED
    assert bench.store.get_many(["child"]) == []


@pytest.mark.parametrize("outcome", [Lost(reason="x"), Released(reason="x"), Retried(error=ERROR, delay_seconds=0)])
def test_cancel_asked_of_a_worker_that_goes_is_kept(bench: Bench, outcome: Lost | Released | Retried) -> None:
    task = bench.started()
    bench.cancel(task.id)

    (ended,) = bench.store.remove_worker(WORKER, outcome)

    assert ended.state is TaskState.CANCELLED
    assert ended == bench.get(task)


def test_cancel_by_state_takes_each_matching_task_once(bench: Bench) -> None:
    for _ in range(3):
        bench.add()
    bench.started(priority=9)

    where = TaskFilter(states=[TaskState.PENDING])
    assert [bench.store.request_cancel(where), bench.store.request_cancel(where)] == [3, 0]
    assert bench.store.counts(TaskFilter()) == {TaskState.CANCELLED: 3, TaskState.PROCESSING: 1}


def test_cancel_of_more_than_one_batch_counts_all(bench: Bench) -> None:
    bench.store.add([new_task() for _ in range(520)])

    assert bench.store.request_cancel(TaskFilter(kinds=["ping"])) == 520
    assert bench.store.counts(TaskFilter()) == {TaskState.CANCELLED: 520}


def test_cancel_of_a_large_family_never_resumes_the_parent(bench: Bench) -> None:
    parent, children = bench.waiting(520)

    # Matches the children by themselves too, and more of them than one batch takes.
    changed = bench.store.request_cancel(TaskFilter(kinds=["ping"]))

    assert changed == len(children) + 1
    assert "resumed" not in bench.history(parent)
    assert bench.store.counts(TaskFilter()) == {TaskState.CANCELLED: len(children) + 1}


def test_cancel_and_finish_have_one_winner_when_they_race(bench: Bench) -> None:
    tasks = [bench.started() for _ in range(40)]
    start = threading.Barrier(2)

    def finish() -> None:
        start.wait()
        for task in tasks:
            bench.end(task, Retried(error=ERROR, delay_seconds=0))

    def cancel() -> None:
        start.wait()
        for task in tasks:
            bench.cancel(task.id)

    threads = [threading.Thread(target=finish), threading.Thread(target=cancel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Whoever came first: a task that was asked to stop has stopped, and its history shows one end.
    assert bench.store.counts(TaskFilter()) == {TaskState.CANCELLED: len(tasks)}
    for task in tasks:
        assert bench.history(task).count("cancelled") == 1


def test_cancelled_tasks_run_again_only_after_a_retry(bench: Bench) -> None:
    task = bench.add()
    bench.cancel(task.id)
    before = bench.claim()
    bench.retry(task.id)

    (claimed,) = bench.claim()

    assert before == []
    assert not claimed.cancel_requested
    assert isinstance(claimed, Task)
