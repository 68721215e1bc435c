"""Who gets which task, and that nobody else does."""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

import pytest

from gristmill.db.database import Database
from gristmill.tasks.model import Completed, Progress, Retried, Task, TaskFilter, TaskState, Waiting
from tests.support.clock import TestClock
from tests.support.processes import python_environment
from tests.support.tasks import ERROR, WORKER, Bench, new_task, new_worker


def ids(tasks: Sequence[Task]) -> list[str]:
    return [task.id for task in tasks]


def test_claim_takes_the_task_with_lease_attempt_and_start(bench: Bench, task_clock: TestClock) -> None:
    task = bench.add()
    task_clock.pass_time(5)

    (claimed,) = bench.claim(slot=3)

    assert claimed == bench.get(task)
    assert (claimed.state, claimed.worker_id, claimed.slot) == (TaskState.PROCESSING, WORKER, 3)
    assert (claimed.lease, claimed.attempt, claimed.started_at) == (1, 1, task_clock.now())
    assert bench.claim() == []


def test_claim_gives_nothing_to_a_worker_that_is_not_registered(bench: Bench) -> None:
    task = bench.add()

    assert bench.claim(worker="stranger") == []
    assert bench.get(task) == task


def test_claim_gives_nothing_to_a_worker_that_was_removed(bench: Bench) -> None:
    bench.add()
    bench.store.remove_worker(WORKER, Retried(error=ERROR, delay_seconds=0))

    assert bench.claim() == []


def test_claim_leaves_kinds_that_the_worker_does_not_know(bench: Bench) -> None:
    unknown, known = bench.add(kind="from_the_future", priority=9), bench.add()

    assert ids(bench.claim(limit=5)) == [known.id]
    assert bench.get(unknown) == unknown
    assert bench.claim(kinds=[]) == []
    assert ids(bench.claim(kinds=["from_the_future"])) == [unknown.id]


def test_claim_looks_into_the_named_queues_only(bench: Bench) -> None:
    a, b, c = bench.add(queue="a"), bench.add(queue="b"), bench.add(queue="c")

    assert bench.claim(queues=[]) == []
    assert ids(bench.claim(queues=["a", "c", "empty"], limit=5)) == [a.id, c.id]
    assert ids(bench.claim(queues=["a", "b", "c"], limit=5)) == [b.id]


def test_claim_takes_the_most_urgent_then_the_oldest_across_queues(bench: Bench) -> None:
    old, new = bench.add(queue="a"), bench.add(queue="b")
    low = bench.add(queue="a", priority=0)
    urgent = bench.add(queue="b", priority=9)

    order = [bench.take(queues=["a", "b"]).id for _ in range(4)]

    assert order == [urgent.id, old.id, new.id, low.id]


def test_claim_answers_in_the_order_of_urgency_when_it_takes_several(bench: Bench) -> None:
    tasks = [bench.add(priority=priority) for priority in (1, 5, 3, 5)]

    claimed = bench.claim(limit=3)

    assert ids(claimed) == [tasks[1].id, tasks[3].id, tasks[2].id]


def test_claim_by_age_takes_the_longest_ready_whatever_its_priority(bench: Bench, task_clock: TestClock) -> None:
    old_and_low = bench.add(priority=0)
    task_clock.pass_time(10)
    older_than_limit = bench.add(priority=9)
    task_clock.pass_time(10)
    limit = task_clock.now()
    too_young = bench.add(priority=9)

    by_age = [bench.claim(ready_before=limit), bench.claim(ready_before=limit), bench.claim(ready_before=limit)]

    assert [ids(claimed) for claimed in by_age] == [[old_and_low.id], [older_than_limit.id], []]
    assert bench.get(too_young).state is TaskState.PENDING


def test_claim_by_age_counts_from_when_the_task_became_ready(bench: Bench, task_clock: TestClock) -> None:
    scheduled = bench.add(scheduled_at=task_clock.now() + 60_000_000)
    task_clock.pass_time(30)
    younger_but_ready = bench.add()
    task_clock.pass_time(31)
    bench.store.promote_due()

    claimed = bench.claim(ready_before=task_clock.now(), limit=2)

    assert ids(claimed) == [younger_but_ready.id, scheduled.id]


def test_claim_by_id_takes_only_those(bench: Bench) -> None:
    bench.add(priority=9)
    wanted, other_queue = bench.add(), bench.add(queue="other")

    assert ids(bench.claim(ids=[wanted.id, other_queue.id, "nobody"], limit=5)) == [wanted.id]
    assert bench.claim(ids=[wanted.id]) == []
    assert bench.claim(ids=[]) == []


def test_claim_passes_over_what_is_scheduled_until_it_is_promoted(bench: Bench, task_clock: TestClock) -> None:
    task = bench.add(scheduled_at=task_clock.now() + 10_000_000)
    task_clock.pass_time(9)
    too_early = bench.store.promote_due()
    task_clock.pass_time(1)
    before_promotion = bench.claim()

    promoted = bench.store.promote_due()

    assert (too_early, before_promotion, promoted) == (0, [], 1)
    assert bench.store.promote_due() == 0
    assert ids(bench.claim()) == [task.id]


def test_promotion_stands_when_the_wall_clock_jumps_back(bench: Bench, task_clock: TestClock) -> None:
    task = bench.add(scheduled_at=task_clock.now() + 10_000_000)
    task_clock.pass_time(10)
    bench.store.promote_due()

    task_clock.jump(-3600)

    assert ids(bench.claim()) == [task.id]


def test_claim_starts_progress_afresh_unless_the_task_resumes(bench: Bench) -> None:
    fresh, resumed = bench.started(), bench.started()
    for task in (fresh, resumed):
        bench.store.progress(
            task.id, task.lease, Progress(stage="embed", unit="chunks", done=3, failed=1, skipped=2, total=9)
        )
    progress = bench.get(resumed).progress
    bench.end(fresh, Retried(error=ERROR, delay_seconds=0))
    bench.end(resumed, Waiting(spawn=[], checkpoint={"at": 3}))

    assert bench.take(fresh.id).progress == Progress()
    again = bench.take(resumed.id)
    assert (again.progress, again.checkpoint) == (progress, {"at": 3})


def test_claim_gives_each_task_to_one_when_threads_compete(bench: Bench) -> None:
    tasks = bench.store.add([new_task() for _ in range(60)])
    taken: list[list[str]] = [[], []]
    start = threading.Barrier(2)

    def work(mine: list[str]) -> None:
        start.wait()
        while claimed := bench.claim(limit=2):
            mine.extend(ids(claimed))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken[0] + taken[1]) == sorted(ids(tasks))


_CLAIMANT = """
import json, sys
from gristmill.clock import SystemClock
from gristmill.db.database import Database
from gristmill.db.tasks import SqlTaskStore
from gristmill.tasks.model import Completed

database = Database(sys.argv[1])
store = SqlTaskStore(database, clock=SystemClock(), result_expires_seconds=60)
taken = []
print("ready", flush=True)
sys.stdin.readline()
while claimed := store.claim(sys.argv[2], queues=["default"], kinds=["ping"]):
    for task in claimed:
        assert store.finish(task.id, task.lease, Completed()) is not None
        taken.append(task.id)
print(json.dumps(taken))
"""


def _claimant(database: Database, worker_id: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _CLAIMANT, database.url, worker_id]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=python_environment())


def _pipe(end: IO[str] | None) -> IO[str]:
    assert end is not None
    return end


def test_claim_gives_each_task_to_one_when_processes_compete(bench: Bench, task_database: Database) -> None:
    tasks = bench.store.add([new_task() for _ in range(48)])
    workers = [f"process-{number}" for number in range(4)]
    for worker in workers:
        bench.store.register_worker(new_worker(worker))

    with ExitStack() as processes:
        claimants = [processes.enter_context(_claimant(task_database, worker)) for worker in workers]
        ready = [_pipe(claimant.stdout).readline() for claimant in claimants]
        for claimant in claimants:
            _pipe(claimant.stdin).write("go\n")
            _pipe(claimant.stdin).flush()
        taken = [task_id for claimant in claimants for task_id in json.loads(claimant.communicate(timeout=30)[0])]

    assert ready == ["ready\n"] * len(workers)

    assert sorted(taken) == sorted(ids(tasks))
    assert bench.store.counts(TaskFilter()) == {TaskState.COMPLETED: len(tasks)}
    names = [event.name for event in bench.store.events(limit=10_000)]
    assert (names.count("claimed"), names.count("completed")) == (len(tasks), len(tasks))


def test_second_finish_under_the_same_lease_is_refused(bench: Bench) -> None:
    task = bench.started()
    first = bench.store.finish(task.id, task.lease, Completed(result={"n": 1}))

    second = bench.store.finish(task.id, task.lease, Completed(result={"n": 2}))

    assert first is not None
    assert second is None
    assert bench.get(task).result == {"n": 1}


@pytest.mark.parametrize("task_id", ["", "nobody"])
def test_writes_are_refused_when_there_is_no_such_task(bench: Bench, task_id: str) -> None:
    assert bench.store.finish(task_id, 1, Completed()) is None
    assert bench.store.progress(task_id, 1, Progress()) is False
    assert bench.store.events() == []
