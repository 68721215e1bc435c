"""Parents that wait for no more than the first failure: what has not begun by then is cancelled."""

import random
import threading

import pytest

from gristmill.failpoints import arm
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
from tests.support.tasks import ERROR, Bench, new_task, new_worker

MANY = 300
"""Children that are not added in one transaction."""


def halting(bench: Bench, count: int) -> tuple[Task, list[Task]]:
    """A task that waits for children until one of them fails, and these."""
    parent = bench.started()
    spawn = [new_task(parent_id=parent.id) for _ in range(count)]
    parent = bench.end(parent, Waiting(spawn=spawn, halts=True, progress=Progress(total=count)))
    return parent, bench.store.get_many([child.id for child in spawn])


def states(bench: Bench, tasks: list[Task] | list[NewTask]) -> list[str]:
    return [task.state.value for task in bench.store.get_many([task.id for task in tasks])]


def test_siblings_that_have_not_begun_are_cancelled_as_soon_as_one_has_failed(bench: Bench) -> None:
    parent, children = halting(bench, 5)
    done, bad, running = (bench.take(child.id) for child in children[:3])
    bench.end(done, Completed())

    bench.end(bad, Failed(error=ERROR))

    assert states(bench, children) == ["completed", "failed", "processing", "cancelled", "cancelled"]
    # What runs may end; nobody asked it to stop.
    assert not bench.get(running).cancel_requested
    waits = bench.get(parent)
    assert (waits.state, waits.progress.done, waits.progress.failed) == (TaskState.PROCESSING, 1, 3)
    bench.end(running, Completed())
    resumed = bench.get(parent)
    assert (resumed.state, resumed.progress.done, resumed.progress.failed) == (TaskState.PENDING, 2, 3)
    assert bench.history(parent) == ["submitted", "claimed", "waiting", "resumed"]


def test_parent_resumes_at_once_and_once_when_nothing_runs(bench: Bench) -> None:
    parent, children = halting(bench, 4)

    bench.end(bench.take(children[2].id), Failed(error=ERROR))

    assert states(bench, children) == ["cancelled", "cancelled", "failed", "cancelled"]
    assert bench.history(parent) == ["submitted", "claimed", "waiting", "resumed"]
    assert bench.claim() == [bench.get(parent)]


def test_child_that_was_parked_has_failed(bench: Bench) -> None:
    _, (bad, other) = halting(bench, 2)

    for _ in range(3):
        bench.end(bench.take(bad.id), Lost(reason="killed by SIGSEGV"))

    assert states(bench, [bad, other]) == ["failed", "cancelled"]


def test_child_that_waits_for_its_next_try_does_not_get_it(bench: Bench) -> None:
    _, (again, bad) = halting(bench, 2)
    bench.end(bench.take(again.id), Retried(error=ERROR, delay_seconds=60))

    bench.end(bench.take(bad.id), Failed(error=ERROR))

    assert states(bench, [again, bad]) == ["cancelled", "failed"]


@pytest.mark.parametrize("outcome", [Released(reason="x"), Lost(reason="x"), Retried(error=ERROR, delay_seconds=0)])
def test_child_that_goes_back_to_wait_after_a_failure_does_not_begin_again(bench: Bench, outcome: Outcome) -> None:
    parent, (bad, back, running) = halting(bench, 3)
    held = bench.take(back.id)
    bench.take(running.id)
    bench.end(bench.take(bad.id), Failed(error=ERROR))

    ended = bench.end(held, outcome)

    assert (ended.state, ended) == (TaskState.CANCELLED, bench.get(back))
    assert bench.get(running).state is TaskState.PROCESSING
    assert bench.get(parent).progress.failed == 2


def test_child_that_goes_back_to_wait_after_another_was_cancelled_begins_again(bench: Bench) -> None:
    _, (cancelled, back) = halting(bench, 2)
    bench.cancel(cancelled.id)

    bench.end(bench.take(back.id), Released(reason="x"))

    assert bench.get(back).state is TaskState.PENDING


def test_child_that_somebody_retries_after_a_failure_runs(bench: Bench) -> None:
    _, (bad, running) = halting(bench, 2)
    bench.take(running.id)
    bench.end(bench.take(bad.id), Failed(error=ERROR))

    bench.retry(bad.id)

    assert bench.take(bad.id).state is TaskState.PROCESSING


@pytest.mark.parametrize(
    "outcome",
    [
        Completed(),
        Cancelled(),
        Retried(error=ERROR, delay_seconds=0),
        Lost(reason="x"),
        Released(reason="x"),
        Waiting(spawn=[]),
    ],
)
def test_siblings_go_on_when_a_child_has_not_failed(bench: Bench, outcome: Outcome) -> None:
    _, (first, second) = halting(bench, 2)

    bench.end(bench.take(first.id), outcome)

    assert bench.get(second).state is TaskState.PENDING


def test_siblings_go_on_when_their_parent_does_not_halt(bench: Bench) -> None:
    parent, (bad, other) = bench.waiting(2)

    bench.end(bench.take(bad.id), Failed(error=ERROR))

    assert bench.get(other).state is TaskState.PENDING
    assert bench.get(parent).state is TaskState.PROCESSING


def test_halting_ends_with_the_pause_that_asked_for_it(bench: Bench) -> None:
    parent, (bad,) = halting(bench, 1)
    bench.end(bench.take(bad.id), Failed(error=ERROR))
    spawn = [new_task(parent_id=parent.id) for _ in range(2)]
    bench.end(bench.take(parent.id), Waiting(spawn=spawn))

    bench.end(bench.take(spawn[0].id), Failed(error=ERROR))

    assert states(bench, spawn) == ["failed", "pending"]


def test_halted_child_takes_its_own_descendants_along(bench: Bench) -> None:
    parent, (bad, composed) = halting(bench, 2)
    grandchild = new_task(parent_id=composed.id)
    bench.end(bench.take(composed.id), Waiting(spawn=[grandchild]))
    bench.end(bench.take(grandchild.id), Failed(error=ERROR))
    bench.end(bench.take(composed.id), Failed(error=ERROR))
    # Everything runs again, and what begins first fails.
    bench.store.retry(TaskFilter(ancestor_id=parent.id))
    bench.end(bench.take(parent.id), Failed(error=ERROR))
    bench.retry(parent.id)
    spawn = [new_task(id=child.id, parent_id=parent.id) for child in (bad, composed)]
    bench.end(bench.take(parent.id), Waiting(spawn=spawn, halts=True))

    bench.end(bench.take(bad.id), Failed(error=ERROR))

    assert states(bench, [*spawn, grandchild]) == ["failed", "cancelled", "cancelled"]
    assert bench.get(parent).state is TaskState.PENDING


def test_failure_before_the_parent_waits_halts_when_it_does(bench: Bench) -> None:
    parent = bench.started()
    spawn = [new_task(parent_id=parent.id) for _ in range(MANY)]
    begun: list[Task] = []

    def fail_one(_failpoint: str) -> None:
        """As another worker does, as soon as there are children."""
        if not begun:
            begun.extend(bench.claim(limit=2))
            bench.end(begun[0], Failed(error=ERROR))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gristmill.db.tasks.store.failpoint", fail_one)
        waits = bench.end(parent, Waiting(spawn=spawn, halts=True, progress=Progress(total=MANY)))

    assert bench.store.counts(TaskFilter(parent_id=parent.id)) == {
        TaskState.FAILED: 1,
        TaskState.PROCESSING: 1,
        TaskState.CANCELLED: MANY - 2,
    }
    assert (waits, waits.state, waits.progress.failed) == (bench.get(parent), TaskState.PROCESSING, MANY - 1)
    bench.end(begun[1], Completed())
    assert bench.history(parent) == ["submitted", "claimed", "waiting", "resumed"]
    assert bench.get(parent).progress.processed == MANY


def test_parent_resumes_once_when_all_that_was_left_is_halted_as_it_begins_to_wait(bench: Bench) -> None:
    parent = bench.started()
    spawn = [new_task(parent_id=parent.id) for _ in range(MANY)]

    def fail_all(_failpoint: str) -> None:
        for child in bench.claim(limit=MANY):
            bench.end(child, Failed(error=ERROR))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gristmill.db.tasks.store.failpoint", fail_all)
        waits = bench.end(parent, Waiting(spawn=spawn, halts=True, progress=Progress(total=MANY)))

    assert waits == bench.get(parent)
    assert bench.history(parent) == ["submitted", "claimed", "waiting", "resumed"]
    assert waits.progress.failed == MANY


def test_retry_of_what_halted_runs_what_failed_and_what_was_cancelled(bench: Bench) -> None:
    parent, children = halting(bench, 200)
    rest = {child.id for child in children[150:]}
    for child in bench.claim(limit=150):
        bench.end(child, Completed())
    bench.end(bench.take(children[150].id), Failed(error=ERROR))
    bench.end(bench.take(parent.id), Failed(error=ERROR))

    bench.retry(parent.id)
    spawn = [new_task(id=child.id, parent_id=parent.id) for child in children]
    again = bench.end(bench.take(parent.id), Waiting(spawn=spawn, halts=True, progress=Progress(total=200)))

    # What completed then counts at once, and is not done again.
    assert again.progress == Progress(done=150, total=200)
    assert {child.id for child in bench.claim(limit=1000)} == rest


@pytest.mark.parametrize("seed", range(8))
def test_siblings_that_end_side_by_side_do_not_wait_for_each_other(bench: Bench, seed: int) -> None:
    workers = [f"worker-{number}" for number in range(2, 10)]
    for worker in workers:
        bench.store.register_worker(new_worker(worker))
    parent, children = halting(bench, 60)
    ids = [child.id for child in children]
    errors: list[BaseException] = []
    start = threading.Barrier(len(workers))

    def work(worker: str) -> None:
        source = random.Random(f"{seed}/{worker}")
        start.wait()
        try:
            while claimed := bench.claim(worker=worker, ids=ids, limit=source.choice([1, 2, 4])):
                ends = [(child.id, child.lease, _by_chance(source)) for child in claimed]
                for portion in [ends] if source.random() < 0.5 else [[end] for end in ends]:
                    bench.store.finish_all(portion)
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert bench.history(parent) == ["submitted", "claimed", "waiting", "resumed"]
    assert bench.get(parent).progress.processed == len(children)
    assert all(task.state.is_final for task in bench.store.get_many(ids))


def _by_chance(source: random.Random) -> Outcome:
    return Failed(error=ERROR) if source.random() < 0.2 else Completed()


def test_attempt_that_dies_while_it_adds_its_children_halts_nothing(bench: Bench) -> None:
    parent = bench.started()
    waiting = Waiting(spawn=[new_task(parent_id=parent.id) for _ in range(MANY)], halts=True)
    arm("between_generations:raise")
    try:
        with pytest.raises(Exception, match="between_generations"):
            bench.end(parent, waiting)
    finally:
        arm("")
    (bad,) = bench.claim(limit=1)
    bench.end(bad, Failed(error=ERROR))
    bench.end(parent, Lost(reason="x"))

    bench.end(bench.take(parent.id), waiting)

    # The next attempt runs it again, along with the others.
    assert bench.store.counts(TaskFilter(parent_id=parent.id)) == {TaskState.PENDING: MANY}
