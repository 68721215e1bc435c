"""Running ended tasks again."""

from gristmill.tasks.model import Completed, Failed, Lost, Progress, TaskFilter, TaskState, Waiting
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, Bench


def test_retry_starts_from_the_beginning_with_fresh_counts(bench: Bench, task_clock: TestClock) -> None:
    task = bench.ended(Waiting(spawn=[], checkpoint={"n": 1}))
    bench.end(bench.take(task.id), Lost(reason="x"))
    failed = bench.take(task.id)
    bench.end(
        failed,
        Failed(
            error=ERROR, items=[{"n": 1}], effect=lambda _: {"partial": True}, progress=Progress(stage="embed", done=3)
        ),
    )
    task_clock.pass_time(5)

    assert bench.retry(task.id) == [task.id]

    again = bench.get(task)
    assert (again.state, again.due, again.attempt, again.crash_count) == (TaskState.PENDING, True, 0, 0)
    assert (again.checkpoint, again.error, again.result, again.finished_at) == (None, None, None, None)
    assert (again.item_count, again.items_expire_at, bench.store.items(task.id)) == (0, None, [])
    assert again.progress == Progress()
    assert again.lease == failed.lease
    assert bench.take(task.id).lease == failed.lease + 1


def test_retry_shows_nothing_of_the_failed_run_after_a_success(bench: Bench) -> None:
    task = bench.ended(Failed(error=ERROR, items=[{"n": 1}, {"n": 2}]))
    bench.retry(task.id)

    done = bench.end(bench.take(task.id), Completed(result={"ok": True}))

    assert (done.result, done.item_count, done.error) == ({"ok": True}, 0, None)
    assert bench.store.items(task.id) == []


def test_retry_takes_the_matching_failed_and_cancelled_tasks_only(bench: Bench) -> None:
    failed, cancelled = bench.ended(Failed(error=ERROR)), bench.add()
    bench.cancel(cancelled.id)
    bench.ended(Completed())
    running, other = bench.started(), bench.ended(Failed(error=ERROR), collection="other")

    retried = bench.store.retry(TaskFilter(ids=[failed.id, cancelled.id, running.id]))

    assert sorted(retried) == sorted([failed.id, cancelled.id])
    assert bench.get(other).state is TaskState.FAILED
    assert bench.store.retry(TaskFilter(collection="other")) == [other.id]


def test_retry_of_many_takes_all(bench: Bench) -> None:
    tasks = [bench.add() for _ in range(3)]
    bench.store.request_cancel(TaskFilter(kinds=["ping"]))

    assert sorted(bench.store.retry(TaskFilter(states=[TaskState.CANCELLED]))) == sorted(task.id for task in tasks)
    assert bench.store.counts(TaskFilter()) == {TaskState.PENDING: 3}


def test_retry_makes_a_task_that_was_scheduled_due_at_once(bench: Bench, task_clock: TestClock) -> None:
    task = bench.add(scheduled_at=task_clock.now() + 1_000_000)
    bench.cancel(task.id)

    bench.retry(task.id)

    assert (bench.get(task).due, bench.get(task).scheduled_at) == (True, None)
    assert bench.take().id == task.id
