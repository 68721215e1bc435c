"""Ending several attempts in one transaction: what holds for one ending holds for each of many."""

import pytest

from gristmill.tasks.model import Completed, Failed, Outcome, Progress, Task, TaskError, TaskState, Waiting
from tests.support.clock import TestClock
from tests.support.tasks import Bench, new_task, new_worker


def _facts(bench: Bench, task: Task) -> tuple[object, ...]:
    events = [
        (event.name, event.attempt, event.lease, event.worker_id, event.detail) for event in bench.store.events(task.id)
    ]
    return task.state, task.result, task.error, task.progress, task.finished_at, task.updated_at, task.worker_id, events


def test_finish_all_ends_each_as_if_it_were_alone(bench: Bench, task_clock: TestClock) -> None:
    outcomes = [
        Completed(result={"note": "索引"}, progress=Progress(stage="done", unit="pages", done=3, total=3)),
        Completed(),
    ]
    together, alone = [[bench.started() for _ in outcomes] for _ in range(2)]
    task_clock.pass_time(5)

    ended = bench.store.finish_all([(task.id, task.lease, was) for task, was in zip(together, outcomes, strict=True)])

    expected = [bench.end(task, was) for task, was in zip(alone, outcomes, strict=True)]
    assert [_facts(bench, task) for task in ended if task] == [_facts(bench, task) for task in expected]
    assert ended == bench.store.get_many([task.id for task in together])


@pytest.mark.parametrize("last", [Completed(), Failed(error=TaskError(code="unexpected_error"))])
def test_finish_all_refuses_only_what_is_not_held(bench: Bench, last: Outcome) -> None:
    first, stale, unclaimed, other = bench.started(), bench.started(), bench.add(), bench.started()

    ended = bench.store.finish_all(
        [
            (first.id, first.lease, Completed()),
            (stale.id, stale.lease - 1, Completed()),
            (unclaimed.id, 0, Completed()),
            ("nobody", 1, Completed()),
            (first.id, first.lease, Completed(result={"twice": True})),
            (other.id, other.lease, last),
        ]
    )

    assert [None if task is None else task.id for task in ended] == [first.id, None, None, None, None, other.id]
    assert bench.get(first).result == {}
    assert [bench.get(task).state for task in (stale, unclaimed)] == [TaskState.PROCESSING, TaskState.PENDING]
    assert [event.name for event in bench.store.events(stale.id)] == ["submitted", "claimed"]


def test_finish_all_of_a_whole_family_resumes_the_parent(bench: Bench) -> None:
    parent = bench.started()
    bench.end(parent, Waiting(spawn=[new_task(parent_id=parent.id) for _ in range(2)]))
    children = bench.claim(limit=2)

    bench.store.finish_all([(child.id, child.lease, Completed()) for child in children])

    resumed = bench.get(parent)
    assert (resumed.state, resumed.progress.done) == (TaskState.PENDING, 2)


def test_finish_all_names_the_worker_of_each(bench: Bench) -> None:
    bench.store.register_worker(new_worker("another"))
    mine, its = bench.started(), bench.take(bench.add().id, worker="another")

    bench.store.finish_all([(task.id, task.lease, Completed()) for task in (mine, its)])

    assert [bench.store.events(task.id)[-1].detail["worker"] for task in (mine, its)] == [mine.worker_id, "another"]
