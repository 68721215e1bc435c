"""Workers: known, alive, gone; and what engines were told."""

from gristmill.tasks.model import Completed, Lost, Released, TaskFilter, TaskState
from tests.support.clock import TestClock
from tests.support.tasks import WORKER, Bench, new_task, new_worker


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


def test_reassigned_task_is_claimed_by_workers_of_its_new_engine_alone(bench: Bench) -> None:
    task, other = bench.add(engine="rq"), bench.add(engine="celery")

    moved = bench.store.reassign("rq", lambda _: "local", limit=10)

    assert [(moved_one.id, moved_one.engine) for moved_one in moved] == [(task.id, "local")]
    assert bench.store.events(task.id)[-1].name == "engine_changed"
    assert dict(bench.store.events(task.id)[-1].detail) == {"from": "rq", "to": "local"}
    assert bench.claim(engines=["rq"], limit=10) == []
    assert [claimed.id for claimed in bench.claim(engines=["local"], limit=10)] == [task.id]
    assert bench.get(other).engine == "celery"


def test_reassign_moves_what_waits_for_its_time_and_leaves_what_runs(bench: Bench, task_clock: TestClock) -> None:
    later = bench.add(engine="rq", scheduled_at=task_clock.now() + 1)
    running = bench.add(engine="rq")
    bench.claim(engines=["rq"])

    assert [moved.id for moved in bench.store.reassign("rq", lambda _: "local", limit=10)] == [later.id]
    assert (bench.get(running).engine, bench.get(running).state) == ("rq", TaskState.PROCESSING)


def test_pinned_task_stays_with_its_engine_when_others_are_moved(bench: Bench, task_clock: TestClock) -> None:
    pinned = bench.add(engine="rq", pinned=True)
    later = bench.add(engine="rq", pinned=True, scheduled_at=task_clock.now() + 1)
    free = bench.add(engine="rq")

    assert [moved.id for moved in bench.store.reassign("rq", lambda _: "local", limit=10)] == [free.id]
    assert {bench.get(task).engine for task in (pinned, later)} == {"rq"}


def test_reassign_takes_no_more_than_its_limit_and_asks_for_each(bench: Bench) -> None:
    tasks = [bench.add(engine="rq") for _ in range(5)]
    chosen = {task.id: ("local", "celery")[number % 2] for number, task in enumerate(tasks)}

    counts = [len(bench.store.reassign("rq", chosen.__getitem__, limit=3)) for _ in range(3)]

    assert counts == [3, 2, 0]
    assert {task.id: task.engine for task in bench.store.get_many(list(chosen))} == chosen


def test_claim_takes_the_most_urgent_of_all_its_engines(bench: Bench) -> None:
    low, high = bench.add(engine="celery", priority=1), bench.add(engine="local", priority=9)
    bench.add(engine="rq", priority=9)

    claimed = bench.claim(engines=["celery", "local"], limit=10)

    assert [task.id for task in claimed] == [high.id, low.id]
    assert [task.engine for task in claimed] == ["local", "celery"]


def test_set_priority_moves_a_task_to_the_front(bench: Bench) -> None:
    first, second = bench.add(), bench.add()

    changed = bench.store.set_priority(TaskFilter(ids=[second.id]), 9)
    again = bench.store.set_priority(TaskFilter(ids=[second.id]), 9)

    assert (changed, again) == (1, 0)
    assert [bench.take().id, bench.take().id] == [second.id, first.id]
    assert bench.events(second)[1].detail == {"priority": 9}
