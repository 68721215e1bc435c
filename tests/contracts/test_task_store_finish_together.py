"""Ending several attempts in one transaction: what holds for one ending holds for each of many."""

from collections.abc import Sequence

import pytest

from gristmill.errors import Conflict
from gristmill.tasks.model import (
    Completed,
    Effect,
    Failed,
    JointEffect,
    Json,
    Outcome,
    Progress,
    Retried,
    Task,
    TaskError,
    TaskState,
    Waiting,
)
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, Bench, new_task, new_worker


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


def test_finish_all_adds_what_the_effects_answer_in_their_order(bench: Bench) -> None:
    tasks = [bench.started() for _ in range(3)]
    called: list[int] = []

    def effect(place: int) -> Effect:
        def carry_out(_transaction: object) -> dict[str, object]:
            called.append(place)
            return {"place": place}

        return carry_out

    outcomes = [Completed(result={"note": "索引", "place": None}, effect=effect(place)) for place in range(3)]
    bench.store.finish_all([(task.id, task.lease, was) for task, was in zip(tasks, outcomes, strict=True)])

    assert called == [0, 1, 2]
    assert [bench.get(task).result for task in tasks] == [{"note": "索引", "place": place} for place in range(3)]


def test_finish_all_carries_out_no_effect_of_what_is_not_held(bench: Bench) -> None:
    stale, other = bench.started(), bench.started()
    called: list[object] = []

    bench.store.finish_all(
        [(stale.id, stale.lease - 1, Completed(effect=called.append)), (other.id, other.lease, Completed())]
    )

    assert called == []
    assert bench.get(stale).state is TaskState.PROCESSING


def test_finish_all_does_nothing_to_any_if_one_effect_fails(bench: Bench) -> None:
    parent, children = bench.waiting(3)
    started = bench.claim(limit=3)
    before = [_facts(bench, task) for task in (bench.get(parent), *bench.store.get_many([one.id for one in started]))]

    def fail(_transaction: object) -> None:
        raise Conflict("document_changed", document_id=1)

    outcomes = [Completed(effect=lambda _: {"n": 1}), Completed(effect=fail), Completed()]
    with pytest.raises(Conflict):
        bench.store.finish_all([(task.id, task.lease, was) for task, was in zip(started, outcomes, strict=True)])

    assert [
        _facts(bench, task) for task in (bench.get(parent), *bench.store.get_many([one.id for one in children]))
    ] == before


def test_finish_all_tells_two_parents_of_what_ended_in_any_way_as_if_it_were_alone(bench: Bench) -> None:
    def family() -> tuple[list[Task], list[Task], list[Outcome]]:
        parents, started = [], []
        for count in (4, 2):
            parent, _ = bench.waiting(count)
            parents.append(parent)
            started.append(bench.claim(limit=count))
        (one, two, three, four), (five, six) = started
        again = Retried(error=ERROR, delay_seconds=0)
        outcomes: list[tuple[Task, Outcome]] = [
            (one, Completed(effect=lambda _: {"n": 1})),
            (five, Completed()),
            (two, Completed()),
            (three, again),
            (four, Failed(error=ERROR)),
            (six, Completed(progress=Progress(stage="done", done=9))),
        ]
        return parents, [task for task, _ in outcomes], [was for _, was in outcomes]

    (parents, tasks, outcomes), (others, alone, _) = family(), family()

    bench.store.finish_all([(task.id, task.lease, was) for task, was in zip(tasks, outcomes, strict=True)])

    for task, was in zip(alone, outcomes, strict=True):
        bench.end(task, was)
    for here, there in zip([*parents, *tasks], [*others, *alone], strict=True):
        assert _facts(bench, bench.get(here)) == _facts(bench, bench.get(there))
    assert [bench.history(parent).count("resumed") for parent in parents] == [0, 1]


def test_finish_all_resumes_a_parent_once(bench: Bench) -> None:
    parent, _ = bench.waiting(5)
    children = bench.claim(limit=5)

    bench.store.finish_all([(child.id, child.lease, Completed()) for child in children])

    resumed = bench.get(parent)
    assert (resumed.progress.done, bench.history(parent).count("resumed")) == (5, 1)
    assert bench.take(parent.id).attempt == parent.attempt


def test_finish_all_names_the_worker_of_each(bench: Bench) -> None:
    bench.store.register_worker(new_worker("another"))
    mine, its = bench.started(), bench.take(bench.add().id, worker="another")

    bench.store.finish_all([(task.id, task.lease, Completed()) for task in (mine, its)])

    assert [bench.store.events(task.id)[-1].detail["worker"] for task in (mine, its)] == [mine.worker_id, "another"]


def test_effects_of_one_sort_are_written_together_and_each_task_gets_its_answer(bench: Bench) -> None:
    written: list[list[str]] = []

    def write(_tx: object, names: Sequence[str]) -> list[Json | None]:
        written.append(list(names))
        return [{"named": name} if name else None for name in names]

    effects: list[Effect | None] = [JointEffect("rye", write), JointEffect("", write), None, JointEffect("oats", write)]
    tasks = [bench.started() for _ in effects]
    stale = (tasks[0].id, tasks[0].lease - 1, Completed(effect=JointEffect("stale", write)))
    endings = [(task.id, task.lease, Completed(effect=effect)) for task, effect in zip(tasks, effects, strict=True)]

    ended = bench.store.finish_all([stale, *endings])

    assert written == [["rye", ""], ["oats"]]
    assert [task and task.result for task in ended] == [None, {"named": "rye"}, {}, {}, {"named": "oats"}]


def test_nothing_has_happened_to_any_when_one_of_a_sort_cannot_be_written(bench: Bench) -> None:
    def write(_tx: object, names: Sequence[str]) -> list[Json | None]:
        if "bad" in names:
            raise Conflict("document_changed", document_id=1)
        return [None for _ in names]

    tasks = [bench.started() for _ in range(3)]
    endings = [
        (task.id, task.lease, Completed(effect=JointEffect(name, write)))
        for task, name in zip(tasks, ["good", "bad", "good"], strict=True)
    ]

    with pytest.raises(Conflict):
        bench.store.finish_all(endings)

    assert {bench.get(task).state for task in tasks} == {TaskState.PROCESSING}
