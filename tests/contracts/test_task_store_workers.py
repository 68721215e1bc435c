"""Workers: known, alive, gone; and what engines were told."""

from gristmill.tasks.model import Completed, Failed, Lost, Released, Retried, TaskFilter, TaskState
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, WORKER, Bench, new_task, new_worker


def test_registered_workers_are_listed_with_what_they_said(bench: Bench, task_clock: TestClock) -> None:
    task_clock.pass_time(1)
    said = new_worker("worker-2", name="local@host:2", queues=("a", "b"), slots=4, pid=2, host="主机")

    bench.store.register_worker(said)

    first, second = bench.store.workers()
    assert first.id == WORKER
    assert (second.name, second.queues, second.slots, second.pid, second.host) == (
        "local@host:2",
        ("a", "b"),
        4,
        2,
        "主机",
    )
    assert second.started_at == second.beat_at == task_clock.now()


def test_heartbeat_adds_one_while_the_worker_is_known(bench: Bench, task_clock: TestClock) -> None:
    (before,) = bench.store.workers()
    task_clock.pass_time(2)

    assert bench.store.heartbeat(WORKER) is True

    (after,) = bench.store.workers()
    assert (after.beat, after.beat_at) == (before.beat + 1, task_clock.now())
    assert bench.store.heartbeat("stranger") is False


def test_removed_worker_is_told_so_by_its_heartbeat(bench: Bench) -> None:
    bench.store.remove_worker(WORKER, Lost(reason="heartbeat stopped"))

    assert bench.store.heartbeat(WORKER) is False
    assert bench.store.workers() == []


def test_removing_a_worker_ends_all_it_holds_and_nothing_else(bench: Bench) -> None:
    bench.store.register_worker(new_worker("worker-2"))
    held = [bench.started(), bench.take(bench.add().id, slot=1)]
    others = bench.take(bench.add().id, worker="worker-2")
    done = bench.ended(Completed())

    returned = bench.store.remove_worker(WORKER, Lost(reason="heartbeat stopped"))

    assert [task.id for task in returned] == [task.id for task in held]
    assert all(bench.get(task).crash_count == 1 and bench.get(task).state is TaskState.PENDING for task in held)
    assert bench.get(others) == others
    assert bench.get(done) == done
    assert bench.store.remove_worker(WORKER, Lost(reason="heartbeat stopped")) == []


def test_death_of_a_worker_counts_against_one_task_of_each_slot(bench: Bench) -> None:
    bench.store.add([new_task(priority=priority) for priority in (3, 7, 5)])
    together = bench.claim(limit=3)
    alone = bench.take(bench.add().id, slot=1)

    bench.store.remove_worker(WORKER, Lost(reason="heartbeat stopped"))

    now = [bench.get(task) for task in (*together, alone)]
    assert [task.priority for task in together] == [7, 5, 3]
    assert {task.state for task in now} == {TaskState.PENDING}
    assert [(task.crash_count, task.attempt) for task in now] == [(1, 1), (0, 0), (0, 0), (1, 1)]
    assert [bench.history(task)[-1] for task in now] == ["worker_lost", "released", "released", "worker_lost"]


def test_task_that_is_claimed_along_with_the_deadly_is_never_parked_for_it(bench: Bench) -> None:
    deadly, innocent = bench.add(priority=6), bench.add()
    for _ in range(3):
        bench.claim(limit=2)
        bench.store.remove_worker(WORKER, Lost(reason="heartbeat stopped"))
        bench.store.register_worker(new_worker())

    assert (bench.get(deadly).state, bench.get(innocent).state) == (TaskState.FAILED, TaskState.PENDING)
    assert (bench.get(innocent).crash_count, bench.get(innocent).attempt) == (0, 0)


def test_removed_worker_writes_nothing_more(bench: Bench) -> None:
    task = bench.started()
    bench.store.remove_worker(WORKER, Released(reason="worker shut down"))
    returned = bench.get(task)

    assert bench.store.finish(task.id, task.lease, Completed()) is None
    assert bench.get(task) == returned


def test_undispatched_are_due_pending_tasks_most_urgent_first(bench: Bench, task_clock: TestClock) -> None:
    low, high = bench.add(priority=1), bench.add(priority=8)
    bench.add(scheduled_at=task_clock.now() + 1)
    bench.started(priority=9)
    told = bench.add()
    bench.store.mark_dispatched([told.id], "rq")

    assert [task.id for task in bench.store.undispatched(limit=10)] == [high.id, low.id]
    assert [task.id for task in bench.store.undispatched(limit=1)] == [high.id]
    assert bench.get(told).engine == "rq"


def test_tasks_are_undispatched_again_whenever_they_become_due_again(bench: Bench, task_clock: TestClock) -> None:
    retried, released, ended = bench.add(), bench.add(), bench.add()
    bench.store.mark_dispatched([retried.id, released.id, ended.id], "rq")
    bench.end(bench.take(retried.id), Retried(error=ERROR, delay_seconds=1))
    bench.end(bench.take(released.id), Released(reason="worker shut down"))
    bench.end(bench.take(ended.id), Failed(error=ERROR))
    at_once = [task.id for task in bench.store.undispatched(limit=10)]
    task_clock.pass_time(1)
    bench.store.promote_due()
    bench.retry(ended.id)

    assert at_once == [released.id]
    assert [task.id for task in bench.store.undispatched(limit=10)] == [retried.id, released.id, ended.id]


def test_mark_dispatched_takes_many(bench: Bench) -> None:
    tasks = [bench.add() for _ in range(3)]

    bench.store.mark_dispatched([task.id for task in tasks], "celery")

    assert bench.store.undispatched(limit=10) == []
    assert len(bench.store.find(TaskFilter(engines=["celery"]), limit=10)) == 3


def test_set_priority_moves_a_task_to_the_front(bench: Bench) -> None:
    first, second = bench.add(), bench.add()

    changed = bench.store.set_priority(TaskFilter(ids=[second.id]), 9)
    again = bench.store.set_priority(TaskFilter(ids=[second.id]), 9)

    assert (changed, again) == (1, 0)
    assert [bench.take().id, bench.take().id] == [second.id, first.id]
    assert bench.events(second)[1].detail == {"priority": 9}
