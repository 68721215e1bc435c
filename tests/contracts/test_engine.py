"""What every engine does: bring the word that a task is ready to a worker, and leave the truth to the row."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gristmill.db.database import Database
from gristmill.tasks.model import Completed, Failed, Task, TaskFilter, TaskState
from gristmill.tasks.ports import TaskStore
from tests.contracts.engines import ENGINES
from tests.support.clock import TestClock
from tests.support.rig import Rig, WorkerEnd
from tests.support.tasks import ERROR, new_task


@pytest.fixture(params=list(ENGINES))
def rig(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    task_database: Database,
    task_store: TaskStore,
    task_clock: TestClock,
) -> Rig:
    """Each engine, on each database."""
    engine, listen = ENGINES[request.param](tmp_path)
    return Rig(engine=engine, listen=listen, database=task_database, store=task_store, clock=task_clock)


def work_until_quiet(*workers: WorkerEnd) -> int:
    """Let everybody work until nothing arrives any more; how many attempts that was."""
    ran = 0
    while True:
        ran += sum(worker.work() for worker in workers)
        if not any(worker.heard for worker in workers):
            return ran


def completed(rig: Rig) -> int:
    return rig.store.counts(TaskFilter()).get(TaskState.COMPLETED, 0)


def test_engine_has_a_name_and_chooses_one_of_its_homes(rig: Rig) -> None:
    assert rig.engine.name.isidentifier()
    assert {rig.engine.choose(str(number)) for number in range(100)} <= set(rig.engine.homes)


def test_engine_chooses_the_same_for_the_same_task(rig: Rig) -> None:
    ids = [str(number) for number in range(100)]

    assert [rig.engine.choose(task_id) for task_id in ids] == [rig.engine.choose(task_id) for task_id in ids]


def test_health_says_whether_the_engine_works_and_why_not(rig: Rig) -> None:
    health = rig.engine.health()

    assert health["ok"] is True
    assert health["reason"] is None


def test_nothing_arrives_before_something_is_dispatched(rig: Rig) -> None:
    with rig.worker() as worker:
        assert worker.ears.arrived() == []


def test_task_that_is_dispatched_reaches_a_worker_that_listens(rig: Rig) -> None:
    with rig.worker() as worker:
        task = rig.tasks.submit("ping", {})

        assert worker.work() == 1

    assert rig.store.get(task.id).state is TaskState.COMPLETED
    assert rig.broken([task]) == []


def test_dispatch_delivers_what_it_was_given_and_nothing_else(rig: Rig) -> None:
    given, _ = rig.store.add([new_task(engine=rig.home), new_task(engine=rig.home)])
    with rig.worker() as worker:
        rig.engine.dispatch([given])

        arrived = worker.ears.arrived()

        # Some tell to look, and not at what.
        assert arrived in (None, [given.id])
        assert worker.ears.arrived() == []


def test_every_task_is_run_by_one_of_many_workers(rig: Rig) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(rig.worker(name)) for name in "abc"]
        tasks = [rig.tasks.submit("ping", {}) for _ in range(20)]

        assert work_until_quiet(*workers) == len(tasks)

    assert completed(rig) == len(tasks)
    assert rig.broken(tasks) == []


def test_task_that_is_delivered_five_times_runs_once(rig: Rig) -> None:
    tasks = rig.store.add([new_task(engine=rig.home) for _ in range(3)])
    with rig.worker("a") as first, rig.worker("b") as second:
        for _ in range(5):
            rig.engine.dispatch(tasks)

        assert work_until_quiet(first, second) == len(tasks)

    assert rig.broken(tasks) == []


def test_task_that_is_delivered_again_while_it_runs_runs_once(rig: Rig) -> None:
    with rig.worker("a") as first, rig.worker("b") as second:
        task = rig.tasks.submit("ping", {})
        again: list[int] = []

        def deliver_again(_: Task) -> None:
            if not again:
                again.append(0)
                rig.engine.dispatch([task])
                again.append(second.work())

        rig.meanwhile = deliver_again
        work_until_quiet(first)

    assert again == [0, 0]
    assert rig.broken([task]) == []


def test_delivery_of_what_no_longer_waits_runs_nothing(rig: Rig) -> None:
    with rig.worker() as worker:
        ended = [rig.tasks.submit("ping", {}) for _ in range(3)]
        for task, outcome in zip(ended, (Completed(), Failed(error=ERROR), None), strict=True):
            if outcome is None:
                rig.tasks.cancel_one(task.id)
                continue
            (held,) = worker.claim([task.id])
            rig.store.finish(task.id, held.lease, outcome)
        before = rig.store.get_many([task.id for task in ended])
        rig.engine.dispatch(ended)

        assert work_until_quiet(worker) == 0

    assert rig.store.get_many([task.id for task in ended]) == before


def test_delivery_of_an_id_that_nobody_knows_holds_nobody_up(rig: Rig) -> None:
    with rig.worker() as worker:
        task, other = rig.store.add([new_task(engine=rig.home), new_task(engine=rig.home)])
        rig.engine.dispatch([task, replace(task, id="nobody"), other])

        assert work_until_quiet(worker) == 2

    assert rig.broken([task, other]) == []


def test_task_that_is_submitted_while_nobody_listens_runs_when_somebody_comes(rig: Rig) -> None:
    task = rig.tasks.submit("ping", {})

    with rig.worker() as worker:
        rig.sweeper.sweep()
        worker.work(unasked=True)

    assert rig.store.get(task.id).state is TaskState.COMPLETED
    assert rig.broken([task]) == []


def test_task_that_nobody_was_told_of_is_found_by_the_sweep(rig: Rig) -> None:
    # As after a crash between the commit and the dispatch.
    tasks = rig.store.add([new_task(engine=rig.home) for _ in range(3)])
    with rig.worker() as worker:
        rig.sweeper.sweep()
        worker.work(unasked=True)
        work_until_quiet(worker)

    assert completed(rig) == len(tasks)
    assert rig.broken(tasks) == []


def test_dispatch_never_raises(rig: Rig) -> None:
    for _ in range(3):
        rig.engine.dispatch(rig.store.add([new_task(engine=rig.home)]))
    rig.engine.dispatch([])


def test_task_is_held_under_a_lease_while_it_runs(rig: Rig) -> None:
    seen: list[tuple[TaskState, int, str | None]] = []

    def look(task: Task) -> None:
        row = rig.store.get(task.id)
        seen.append((row.state, row.lease, row.worker_id))

    rig.meanwhile = look
    with rig.worker() as worker:
        rig.tasks.submit("ping", {})
        work_until_quiet(worker)

    assert seen == [(TaskState.PROCESSING, 1, "a")]


def test_worker_whose_task_was_given_to_another_changes_nothing(rig: Rig) -> None:
    with rig.worker("a") as slow, rig.worker("b") as heir:

        def lose_the_lease(task: Task) -> None:
            if task.lease == 1:
                rig.expire("a")
                heir.work()

        rig.meanwhile = lose_the_lease
        task = rig.tasks.submit("ping", {})
        work_until_quiet(slow)

    ended = rig.store.get(task.id)
    assert (ended.state, ended.lease) == (TaskState.COMPLETED, 2)
    assert rig.broken([task]) == []


def test_task_of_a_lost_worker_reaches_another(rig: Rig) -> None:
    with rig.worker("a") as first, rig.worker("b") as second:
        task = rig.tasks.submit("ping", {})
        held = first.claim(first.ears.arrived())
        second.ears.arrived()

        rig.expire("a")
        work_until_quiet(second)

    assert [held[0].id, held[0].lease] == [task.id, 1]
    assert rig.store.get(task.id).state is TaskState.COMPLETED
    assert rig.broken([task]) == []


def test_cancelled_task_does_not_run_although_it_was_delivered(rig: Rig) -> None:
    with rig.worker() as worker:
        task, other = (rig.tasks.submit("ping", {}) for _ in range(2))
        rig.tasks.cancel_one(task.id)

        assert work_until_quiet(worker) == 1

    assert rig.store.get(task.id).state is TaskState.CANCELLED
    assert rig.store.get(other.id).state is TaskState.COMPLETED
    assert rig.broken([task, other]) == []


def test_revoke_may_name_what_does_not_exist(rig: Rig) -> None:
    rig.engine.revoke(["nobody"])
    rig.engine.revoke([])

    assert rig.engine.health()["ok"] is True


def test_retried_task_is_delivered_again(rig: Rig) -> None:
    with rig.worker() as worker:
        task = rig.tasks.submit("ping", {})
        rig.tasks.cancel_one(task.id)
        work_until_quiet(worker)

        rig.tasks.retry_one(task.id)
        work_until_quiet(worker)

    assert rig.store.get(task.id).state is TaskState.COMPLETED
    assert rig.broken([task]) == []
