"""What one task gets of another's result, by the path that its payload names."""

from typing import Any

import pytest

from gristmill.errors import InvalidInput
from gristmill.ids import new_id
from gristmill.tasks.model import Completed, Failed, Task
from gristmill.tasks.references import CHAIN, GROUP, bound, composed, has_reference, part_id, previous, resolved
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, Bench


def reference(task: Task, path: str = "") -> Any:
    return bound(previous(path), task.id)


def composed_of(bench: Bench, form: str, *results: Any, task_id: str | None = None) -> Task:
    """A composed task that completed; a part whose result is None has failed."""
    task = bench.add(id=task_id or new_id())
    for place, result in enumerate(results):
        outcome = Failed(error=ERROR) if result is None else Completed(result=result)
        bench.ended(outcome, id=part_id(task.id, place))
    failed = sum(result is None for result in results)
    return bench.end(bench.take(task.id), Completed(result=composed(form, total=len(results), failed=failed)))


def test_reference_is_replaced_by_what_it_refers_to(bench: Bench) -> None:
    task = bench.ended(Completed(result={"a": {"b": [1, {"c": "x"}]}}))
    payload = {
        "whole": reference(task),
        "part": reference(task, "a.b.1.c"),
        "listed": [reference(task, "a.b"), 2],
        "plain": {"$previous": "a"},
    }

    assert has_reference(payload)
    assert resolved(payload, bench.store) == {
        "whole": {"a": {"b": [1, {"c": "x"}]}},
        "part": "x",
        "listed": [[1, {"c": "x"}], 2],
        "plain": {"$previous": "a"},
    }


def test_items_are_what_a_task_left_beside_its_result(bench: Bench) -> None:
    task = bench.ended(Completed(result={"n": 2}, items=[{"x": 1}, {"x": 2}]))

    assert resolved(reference(task, "items"), bench.store) == [{"x": 1}, {"x": 2}]
    assert resolved(reference(task, "items.1.x"), bench.store) == 2
    assert resolved(reference(task, "n"), bench.store) == 2


def test_result_of_a_group_is_the_list_of_its_members_results(bench: Bench) -> None:
    group = composed_of(bench, GROUP, {"x": 1}, None, {"x": 3})

    assert resolved(reference(group), bench.store) == [{"x": 1}, None, {"x": 3}]
    assert resolved(reference(group, "2.x"), bench.store) == 3


def test_result_of_a_chain_is_that_of_its_last_step(bench: Bench) -> None:
    chain = composed_of(bench, CHAIN, {"x": 1}, {"x": 2})

    assert resolved(reference(chain), bench.store) == {"x": 2}
    assert resolved(reference(chain, "x"), bench.store) == 2


def test_result_of_what_is_composed_of_composed_parts_is_theirs(bench: Bench) -> None:
    group = bench.add()
    composed_of(bench, CHAIN, {"x": 1}, {"x": 2}, task_id=part_id(group.id, 0))
    composed_of(bench, GROUP, {"x": 3}, {"x": 4}, task_id=part_id(group.id, 1))
    group = bench.end(bench.take(group.id), Completed(result=composed(GROUP, total=2, failed=0)))

    assert resolved(reference(group), bench.store) == [{"x": 2}, [{"x": 3}, {"x": 4}]]
    assert resolved(reference(group, "1.0.x"), bench.store) == 3


def test_member_is_found_without_the_others(bench: Bench) -> None:
    group = bench.ended(Completed(result=composed(GROUP, total=10_000, failed=0)))
    bench.ended(Completed(result={"x": 1}, items=[{"y": 2}]), id=part_id(group.id, 9_999))

    assert resolved(reference(group, "9999.x"), bench.store) == 1
    assert resolved(reference(group, "9999.items.0.y"), bench.store) == 2


def test_nothing_is_what_failed_returned_whatever_the_path(bench: Bench) -> None:
    failed = bench.ended(Failed(error=ERROR, items=[{"x": 1}]))
    group = composed_of(bench, GROUP, {"x": 1}, None)

    assert resolved(reference(failed), bench.store) is None
    assert resolved(reference(failed, "a.b"), bench.store) is None
    assert resolved(reference(failed, "items"), bench.store) is None
    assert resolved(reference(group, "1.x"), bench.store) is None


@pytest.mark.parametrize(
    "path", ["b", "a.0", "a.b.2", "a.b.-1", "a.b.x", "a.b.1.d", "a.b.1.c.0", "a..b", "items.0", "a.b." + "9" * 5000]
)
def test_path_that_leads_nowhere_is_refused(bench: Bench, path: str) -> None:
    task = bench.ended(Completed(result={"a": {"b": [1, {"c": "x"}]}}))

    with pytest.raises(InvalidInput) as caught:
        resolved(reference(task, path), bench.store)

    assert (caught.value.code, caught.value.facts) == ("reference_path_unknown", {"task_id": task.id, "path": path})
    assert path in caught.value.message("en")
    assert path in caught.value.message("zh")


def test_place_beyond_the_members_of_a_group_is_refused(bench: Bench) -> None:
    group = composed_of(bench, GROUP, {"x": 1})

    with pytest.raises(InvalidInput) as caught:
        resolved(reference(group, "1.x"), bench.store)

    assert caught.value.code == "reference_path_unknown"


def test_result_that_is_not_kept_any_more_is_missed(bench: Bench, clock: TestClock) -> None:
    purged = bench.ended(Completed(result={"x": 1}))
    clock.pass_time(1)
    bench.store.purge(finished_before=clock.now(), limit=10)
    group = bench.ended(Completed(result=composed(GROUP, total=2, failed=0)))
    bench.ended(Completed(), id=part_id(group.id, 0))
    expired = bench.ended(Completed(items=[{"x": 1}]))
    clock.pass_time(3601)
    bench.store.purge_items()

    for gone, path in ((purged, ""), (group, ""), (group, "1.x"), (expired, "items")):
        with pytest.raises(InvalidInput) as caught:
            resolved(reference(gone, path), bench.store)
        assert caught.value.code == "reference_gone"


def test_result_that_looks_like_a_reference_is_none(bench: Bench) -> None:
    secret = bench.ended(Completed(result={"secret": 1}))
    task = bench.ended(Completed(result={"text": reference(secret), "form": "group"}))

    assert resolved(reference(task), bench.store) == {"text": reference(secret), "form": "group"}
