"""Chains, groups and chords on real workers: what flows where, what fails, stops, and runs again."""

import signal
from collections import Counter
from pathlib import Path

import psutil
import pytest

from gristmill.canvas import chain, chord, group, kind, previous
from gristmill.errors import Conflict, InvalidInput, NotFound
from gristmill.tasks.compose import Policy
from gristmill.tasks.model import Task, TaskState
from gristmill.tasks.workflow import Step
from tests.integration.worker.conftest import Mill, gone
from tests.support.composed import Composed
from tests.support.waiting import eventually

POLICIES = list(Policy)


@pytest.fixture
def composed(running_mill: Mill, tmp_path: Path) -> Composed:
    """Errands of this test alone, on a worker of two slots."""
    return Composed(running_mill, tmp_path)


def code(task: Task) -> str | None:
    return None if task.error is None else task.error.code


def test_results_flow_along_a_chain(composed: Composed) -> None:
    a, b = composed.errand("a", 1), composed.errand("b", previous("value"))
    whole = composed.errand("whole", previous())

    task = composed.run(a | b | whole)

    assert task.state is TaskState.COMPLETED
    assert composed.value(task, "b") == 1
    assert composed.value(task, "whole") == {"name": "b", "value": 1}
    assert task.result == {"form": "chain", "total": 3, "failed": 0}
    assert composed.effects(task) == {"a": 1, "b": 1, "whole": 1}


def test_results_flow_into_a_group_and_out_of_it_in_order(composed: Composed) -> None:
    members = [composed.errand(f"member {number}", [number, previous("value")]) for number in range(5)]

    task = composed.run(composed.errand("first", "x") | group(members) | composed.errand("last", previous()))

    assert composed.value(task, "last") == [{"name": f"member {number}", "value": [number, "x"]} for number in range(5)]


def test_results_find_their_way_through_what_is_nested(composed: Composed) -> None:
    work = chain(
        composed.errand("a", "a"),
        group(
            chain(composed.errand("b", previous("value")), composed.errand("c", [previous("value")])),
            group(composed.errand("d", previous("value")), composed.errand("e", "e")),
            chord(
                [composed.errand("f", "f"), composed.errand("g", previous("value"))], composed.errand("h", previous())
            ),
        ),
        chain(composed.errand("i", previous()), composed.errand("j", previous("value.2.value.1.value"))),
        composed.errand("k", previous("value")),
    )

    task = composed.run(work)

    assert composed.value(task, "i") == [
        {"name": "c", "value": ["a"]},
        [{"name": "d", "value": "a"}, {"name": "e", "value": "e"}],
        {"name": "h", "value": [{"name": "f", "value": "f"}, {"name": "g", "value": "a"}]},
    ]
    assert composed.value(task, "j") == composed.value(task, "k") == "a"
    assert composed.effects(task) == dict.fromkeys("abcdefghijk", 1)
    assert composed.what_broke(task) == []


def test_references_travel_and_results_stay(composed: Composed) -> None:
    work = chain(
        composed.errand("large", "x" * 1000),
        group(chain(group(composed.errand(f"{number}", previous("value")) for number in range(3)))),
    )

    task = composed.run(work)

    assert composed.value(task, "2") == "x" * 1000
    large = composed.named(task, "large").id
    assert composed.named(task, "2").payload["value"] == {"$result": {"task": large, "path": "value"}}
    assert not any(
        "x" * 100 in str(row.payload) for row in composed.family(task) if row.kind == "workflow" and row.parent_id
    )


def test_result_items_are_reached_by_a_path(composed: Composed) -> None:
    items = [{"text": "one"}, {"text": "two"}]
    reads = [composed.errand("all", previous("items")), composed.errand("one", previous("items.1.text"))]

    task = composed.run(composed.errand("source", items=items) | group(reads))
    of_a_group = composed.run(
        group(composed.errand("s", items=items), composed.errand("t"))
        | composed.errand("u", previous("0.items.0.text"))
    )

    assert composed.value(task, "all") == items
    assert composed.value(task, "one") == "two"
    assert composed.value(of_a_group, "u") == "one"


def test_path_that_leads_nowhere_fails_the_step_that_asks_for_it(composed: Composed) -> None:
    task = composed.run(composed.errand("a", {"x": 1}) | composed.errand("b", previous("value.y")))

    assert (task.state, code(task)) == (TaskState.FAILED, "workflow_part_failed")
    step = composed.named(task, "b")
    assert (code(step), step.attempt) == ("reference_path_unknown", 1)


def test_value_that_does_not_fit_fails_the_step_that_is_given_it(composed: Composed) -> None:
    ping = kind("ping")

    task = composed.run(composed.errand("a", 1) | ping.s(note=previous("value")))

    assert code(task) == "workflow_part_failed"
    assert [code(child) for child in composed.family(task)[2:]] == ["payload_field_type"]


@pytest.mark.parametrize("policy", POLICIES)
def test_workflow_without_failures_completes_under_every_policy(composed: Composed, policy: Policy) -> None:
    task = composed.run(
        composed.undone("a") | group(composed.undone("b"), composed.undone("c")) | composed.errand("d"),
        on_failure=policy,
    )

    assert task.state is TaskState.COMPLETED
    assert composed.effects(task) == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert composed.state(task).policy is policy


def test_chain_that_stops_starts_nothing_after_a_failure(composed: Composed) -> None:
    composed.fail("b")

    task = composed.run(composed.errand("a") | composed.errand("b") | composed.errand("c"))

    assert composed.states(task) == {"a": "completed", "b": "failed"}
    assert task.error is not None
    assert (task.error.code, dict(task.error.facts)) == (
        "workflow_part_failed",
        {"kind": "errand", "task_id": composed.named(task, "b").id, "reason": "unexpected_error"},
    )
    assert (task.progress.done, task.progress.failed, task.progress.total) == (1, 1, 3)


def test_group_that_stops_cancels_what_has_not_begun(composed: Composed) -> None:
    others = [f"{number}" for number in range(100)]
    composed.fail("bad")
    composed.hold("bad", *others)
    task = composed.submit(group(map(composed.errand, ["bad", *others])) | composed.errand("last"))
    composed.began("bad")

    composed.let_go("bad")
    eventually(lambda: composed.states(task)["bad"] == "failed", 20)
    # Whatever was claimed along with another goes back, and does not begin.
    eventually(lambda: Counter(composed.states(task).values())["cancelled"] >= len(others) - 2, 20)

    running = composed.have_begun() - {"bad"}
    assert {composed.states(task)[name] for name in running} <= {"processing"}
    composed.let_go(*running)
    ended = composed.mill.ended(task)
    assert (ended.state, code(ended)) == (TaskState.FAILED, "workflow_part_failed")
    assert composed.states(task) == {
        "bad": "failed",
        **dict.fromkeys(running, "completed"),
        **dict.fromkeys(set(others) - running, "cancelled"),
    }
    assert composed.effects(task) == dict.fromkeys(running, 1)
    assert composed.what_broke(task) == []


def test_workflow_that_continues_counts_what_failed_and_takes_it_for_nothing(composed: Composed) -> None:
    composed.fail("b", "d")
    work = chain(
        composed.errand("a", 1),
        composed.errand("b"),
        composed.errand("c", [previous(), previous("value.x")]),
        group(composed.errand("d"), composed.errand("e", 5)),
        composed.errand("f", previous()),
    )

    task = composed.run(work, on_failure="continue")

    assert task.state is TaskState.COMPLETED
    assert task.result == {"form": "chain", "total": 5, "failed": 1}
    assert composed.states(task) == {
        "a": "completed",
        "b": "failed",
        "c": "completed",
        "d": "failed",
        "e": "completed",
        "f": "completed",
    }
    assert composed.value(task, "c") == [None, None]
    assert composed.value(task, "f") == [None, {"name": "e", "value": 5}]
    assert composed.state(task).counts == {TaskState.COMPLETED: 4, TaskState.FAILED: 2}


def test_workflow_that_compensates_undoes_what_completed_the_last_first(composed: Composed) -> None:
    composed.fail("bad")
    work = chain(
        composed.undone("a"),
        group(composed.undone("b"), chain(composed.undone("c"), composed.undone("d"))),
        composed.errand("e"),
        composed.errand("bad").compensated_by(composed.errand("undo bad")),
        composed.undone("never"),
    )

    task = composed.run(work, on_failure="compensate")

    assert (task.state, code(task)) == (TaskState.FAILED, "workflow_part_failed")
    assert task.error is not None
    assert task.error.facts["task_id"] == composed.named(task, "bad").id
    ends = {child.payload["name"]: child.finished_at or 0 for child in composed.family(task) if child.kind == "errand"}
    assert ends.keys() == {"a", "b", "c", "d", "e", "bad", "undo a", "undo b", "undo c", "undo d"}
    assert ends["undo d"] <= ends["undo c"] <= ends["undo a"]
    assert ends["undo b"] <= ends["undo a"]
    assert composed.effects(task) == dict.fromkeys(ends.keys() - {"bad"}, 1)
    state = composed.state(task)
    # What undoes something is no step of the workflow.
    assert (state.steps, state.counts) == (7, {TaskState.COMPLETED: 5, TaskState.FAILED: 1})
    assert (task.progress.done, task.progress.failed) == (3, 1)


def test_what_undoes_a_step_gets_what_the_step_returned(composed: Composed) -> None:
    composed.fail("bad")
    undo = composed.errand("undo", previous("value"))

    task = composed.run(composed.errand("a", 7).compensated_by(undo) | composed.errand("bad"), on_failure="compensate")

    assert composed.value(task, "undo") == 7


def test_part_that_fails_undoes_its_own_before_what_came_before_it(composed: Composed) -> None:
    composed.fail("bad")
    work = chain(composed.undone("a"), chain(composed.undone("b"), composed.errand("bad")))

    task = composed.run(work, on_failure="compensate")

    ends = {child.payload["name"]: child.finished_at or 0 for child in composed.family(task) if child.kind == "errand"}
    assert 0 < ends["undo b"] <= ends["undo a"]
    assert composed.effects(task) == {"a": 1, "b": 1, "undo b": 1, "undo a": 1}


def test_what_cannot_be_undone_hides_no_cause_and_keeps_nothing_else_from_it(composed: Composed) -> None:
    composed.fail("bad", "undo b")

    task = composed.run(composed.undone("a") | composed.undone("b") | composed.errand("bad"), on_failure="compensate")

    assert task.error is not None
    assert task.error.facts["task_id"] == composed.named(task, "bad").id
    assert composed.states(task)["undo b"] == "failed"
    assert composed.effects(task) == {"a": 1, "b": 1, "undo a": 1}


def test_workflow_that_was_undone_does_not_go_on_from_there(composed: Composed) -> None:
    composed.fail("bad")
    task = composed.run(composed.undone("a") | composed.errand("bad"), on_failure="compensate")
    composed.mend("bad")

    composed.mill.app.tasks.retry_one(task.id)
    again = composed.mill.ended(task)

    assert (again.state, code(again)) == (TaskState.FAILED, "workflow_compensated")
    assert composed.effects(task) == {"a": 1, "undo a": 1}


def test_cancel_of_the_whole_ends_all_of_it(composed: Composed) -> None:
    sleepy = Step(kind="sleepy", payload={"folder": str(composed.folder)})
    composed.hold(*"bcdefgh")
    work = chain(
        composed.errand("a"),
        group(sleepy, chain(composed.errand("b"), composed.errand("c")), *map(composed.errand, "defgh")),
        composed.errand("last"),
    )
    task = composed.submit(work)
    # One that hears nothing in one slot, one that does in the other.
    eventually((composed.folder / "started-1").exists, 20)
    eventually(lambda: len(composed.have_begun()) == 2, 20)
    sleeper = psutil.Process(int((composed.folder / "started-1").read_text("utf-8")))

    composed.mill.app.tasks.cancel_one(task.id)

    assert composed.mill.app.store.get(task.id).state is TaskState.CANCELLED
    eventually(lambda: all(child.state.is_final for child in composed.family(task)), 20)
    states = [child.state for child in composed.family(task) if child.payload.get("name") != "a"]
    assert set(states) == {TaskState.CANCELLED}
    # What does not stop when it is asked to is killed.
    eventually(lambda: gone([sleeper]), 10)
    assert composed.effects(task) == {"a": 1}
    assert composed.what_broke(task) == []


def test_cancel_of_one_member_is_a_failure_of_the_group(composed: Composed) -> None:
    composed.hold("a", "b")
    task = composed.submit(group(composed.errand("a"), composed.errand("b")) | composed.errand("last"))
    composed.began("a", "b")

    composed.mill.app.tasks.cancel_one(composed.named(task, "a").id)
    composed.let_go("b")
    ended = composed.mill.ended(task)

    assert ended.error is not None
    assert ended.error.facts["reason"] == "workflow_part_failed"
    assert composed.states(task) == {"a": "cancelled", "b": "completed"}


def test_retry_of_the_whole_does_not_repeat_what_completed(composed: Composed) -> None:
    composed.fail("d", "f")
    work = chain(
        composed.errand("a", "x"),
        group(
            composed.errand("b"),
            chain(composed.errand("c"), composed.errand("d", previous("name")), composed.errand("e")),
            composed.errand("f"),
        ),
        composed.errand("g", previous()),
    )
    task = composed.run(work)
    before = composed.effects(task)

    composed.mend("d", "f")
    composed.mill.app.tasks.retry_one(task.id)
    again = composed.mill.ended(task)

    assert before["a"] == 1
    assert not {"d", "e", "f", "g"} & before.keys()
    assert again.state is TaskState.COMPLETED
    assert composed.effects(task) == dict.fromkeys("abcdefg", 1)
    assert composed.value(task, "d") == "c"
    assert (again.progress.done, again.progress.failed, again.progress.total) == (3, 0, 3)
    assert composed.state(task).counts == {TaskState.COMPLETED: 7}
    assert composed.what_broke(task) == []


def test_retry_of_a_cancelled_workflow_goes_on_where_it_was(composed: Composed) -> None:
    composed.hold("b")
    task = composed.submit(composed.errand("a") | composed.errand("b") | composed.errand("c"))
    composed.began("b")
    composed.mill.app.tasks.cancel_one(task.id)
    eventually(lambda: all(child.state.is_final for child in composed.family(task)), 20)

    composed.let_go("b")
    composed.mill.app.tasks.retry_one(task.id)

    assert composed.mill.ended(task).state is TaskState.COMPLETED
    assert composed.effects(task) == {"a": 1, "b": 1, "c": 1}


def test_rerun_from_a_step_begins_with_what_the_step_before_returned(composed: Composed) -> None:
    workflows = composed.mill.app.workflows
    work = chain(
        composed.errand("a", 3),
        group(composed.errand("b", previous("value")), composed.errand("c")),
        composed.errand("d", previous("0.value")),
    )
    task = composed.run(work, priority=7, collection="rerun", user_id=9, on_failure="continue")

    group_again = composed.mill.ended(workflows.rerun(task.id, from_step=2))
    last_again = composed.mill.ended(workflows.rerun(task.id, from_step=3, priority=2))
    once_more = composed.mill.ended(workflows.rerun(group_again.id, from_step=2))
    whole = composed.mill.ended(workflows.rerun(task.id, from_step=1))

    assert composed.effects(group_again) == {"b": 1, "c": 1, "d": 1}
    assert composed.value(group_again, "b") == composed.value(group_again, "d") == 3
    assert composed.effects(last_again) == composed.effects(once_more) == {"d": 1}
    assert composed.value(last_again, "d") == composed.value(once_more, "d") == 3
    assert composed.effects(whole) == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert (group_again.priority, group_again.collection, group_again.user_id) == (7, "rerun", 9)
    assert composed.state(group_again).policy is Policy.CONTINUE
    assert last_again.priority == 2


def test_rerun_from_where_nothing_is_is_refused(composed: Composed) -> None:
    workflows = composed.mill.app.workflows
    composed.fail("b")
    task = composed.run(composed.errand("a") | composed.errand("b") | composed.errand("c"))

    for number in (0, 4):
        with pytest.raises(InvalidInput) as wrong:
            workflows.rerun(task.id, from_step=number)
        assert (wrong.value.code, wrong.value.facts["count"]) == ("workflow_step_unknown", 3)
    with pytest.raises(Conflict) as early:
        workflows.rerun(task.id, from_step=3)
    assert (early.value.code, early.value.facts["step"]) == ("workflow_step_not_completed", 2)
    with pytest.raises(NotFound) as other:
        workflows.rerun(composed.named(task, "a").id, from_step=1)
    assert other.value.code == "workflow_not_found"


def test_progress_is_that_of_the_whole(composed: Composed) -> None:
    composed.hold("b", "d")
    work = chain(
        composed.errand("a"),
        group(composed.errand("b"), chain(composed.errand("c"), composed.errand("d"))),
        composed.errand("e"),
    )
    task = composed.submit(work)
    composed.began("b", "d")

    middle = composed.state(composed.mill.in_state(task, TaskState.PROCESSING))

    assert (middle.steps, middle.counts) == (5, {TaskState.COMPLETED: 2, TaskState.PROCESSING: 2})
    assert (middle.task.progress.stage, middle.task.progress.percent) == ("group", 33)
    parts = middle.root.parts
    assert [part.task and part.task.state.value for part in parts] == ["completed", "processing", None]
    assert [part.task and part.task.state.value for part in parts[1].parts] == ["processing", "processing"]
    assert parts[2].task_id not in {child.id for child in composed.family(task)}
    composed.let_go("b", "d")
    composed.mill.ended(task)
    assert composed.state(task).counts == {TaskState.COMPLETED: 5}


def test_what_a_step_starts_for_itself_is_no_step(composed: Composed) -> None:
    family = Step(kind="family", payload={"moods": [], "children": 3})

    task = composed.run(family | composed.errand("last", previous("children")))

    assert composed.value(task, "last") == 3
    assert len(composed.family(task)) == 1 + 2 + 3
    assert (composed.state(task).steps, composed.state(task).counts) == (2, {TaskState.COMPLETED: 2})


def test_large_workflow_is_shown_in_part(composed: Composed) -> None:
    task = composed.submit(
        group(group(composed.errand(f"{n}") for n in range(120)) for _ in range(120)), delay_seconds=99
    )

    state = composed.state(task)

    assert (state.steps, state.counts) == (14_400, {})
    assert (len(state.root.parts), state.root.omitted) == (100, 20)
    shown = [len(part.parts) for part in state.root.parts]
    assert sum(shown) == 900
    assert shown[0] == 100
    assert [part.omitted for part in state.root.parts] == [120 - count for count in shown]
    composed.mill.app.tasks.cancel_one(task.id)


def test_priority_collection_and_user_are_those_of_the_workflow(composed: Composed) -> None:
    task = composed.run(
        composed.errand("a") | group(composed.errand("b"), chain(composed.errand("c"))),
        priority=8,
        collection="papers",
        user_id=4,
    )

    family = composed.family(task)
    assert len(family) == 6
    assert {(child.priority, child.collection, child.user_id) for child in family} == {(8, "papers", 4)}
    assert {child.engine for child in family} == {"local"}


def test_workflow_with_a_delay_starts_nothing_before(composed: Composed) -> None:
    task = composed.submit(chain(composed.errand("a")), delay_seconds=0.5)
    waiting = [child.id for child in composed.family(task)]

    ended = composed.mill.ended(task)

    assert waiting == [task.id]
    assert ended.started_at is not None
    assert ended.started_at >= task.created_at + 500_000
    assert composed.named(task, "a").created_at >= task.created_at + 500_000


def test_task_that_is_no_workflow_after_all_fails_at_once(composed: Composed) -> None:
    tasks = composed.mill.app.tasks
    broken = tasks.submit("workflow", {"tree": {"chain": "x"}})
    unruly = tasks.submit("workflow", {"tree": {"kind": "ping", "payload": {}}, "on_failure": "perhaps"})
    unknown = tasks.submit("workflow", {"tree": {"kind": "nothing", "payload": {}}})

    ended = [composed.mill.ended(task) for task in (broken, unruly, unknown)]

    assert [code(task) for task in ended] == ["workflow_node_invalid", "field_not_a_choice", "kind_unknown"]
    assert {task.attempt for task in ended} == {1}


def _kill_everybody(mill: Mill) -> None:
    """As a power cut does, but for the disk."""
    for worker in mill.workers:
        for process in mill.tree(worker):
            process.send_signal(signal.SIGKILL)
    for worker in mill.workers:
        worker.wait()


def test_chain_goes_on_where_it_was_when_everything_was_killed(mill: Mill, tmp_path: Path) -> None:
    composed = Composed(mill, tmp_path)
    composed.hold("b")
    mill.start(concurrency=2)
    task = composed.submit(composed.errand("a", 1) | composed.errand("b", previous("value")) | composed.errand("c"))
    composed.began("b")

    _kill_everybody(mill)
    composed.let_go("b")
    mill.start(concurrency=2)

    assert mill.ended(task).state is TaskState.COMPLETED
    assert composed.effects(task) == {"a": 1, "b": 1, "c": 1}
    assert composed.value(task, "b") == 1
    assert composed.named(task, "b").crash_count == 1
    assert composed.what_broke(task) == []


def test_group_goes_on_where_it_was_when_everything_was_killed(mill: Mill, tmp_path: Path) -> None:
    composed = Composed(mill, tmp_path)
    names = [f"{number}" for number in range(100)]
    composed.hold("10", "70")
    mill.start(concurrency=2)
    task = composed.submit(group(map(composed.errand, names)) | composed.errand("last", previous("99.name")))
    composed.began("10", "70")

    _kill_everybody(mill)
    composed.let_go("10", "70")
    mill.start(concurrency=2)

    assert mill.ended(task, 40).state is TaskState.COMPLETED
    assert composed.effects(task) == dict.fromkeys([*names, "last"], 1)
    assert composed.value(task, "last") == "99"
    assert composed.what_broke(task) == []


def test_group_has_each_member_once_when_who_starts_them_dies_in_the_middle(mill: Mill, tmp_path: Path) -> None:
    composed = Composed(mill, tmp_path)
    names = [f"{number}" for number in range(300)]
    task = composed.submit(group(map(composed.errand, names)) | composed.errand("last"))
    mill.start(failpoint="between_generations:pause")
    eventually(lambda: len(composed.family(task)) > 2, 20)
    started = len(composed.family(task)) - 2

    _kill_everybody(mill)
    mill.start(concurrency=2)

    assert 0 < started < len(names)
    assert mill.ended(task, 40).state is TaskState.COMPLETED
    assert composed.effects(task) == dict.fromkeys([*names, "last"], 1)
    assert composed.what_broke(task) == []
