"""Accepting and finding tasks."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gristmill.errors import Conflict, NotFound
from gristmill.tasks.model import Completed, Failed, Progress, TaskError, TaskFilter, TaskState
from tests.support.clock import TestClock
from tests.support.tasks import Bench, new_task


def test_add_keeps_every_value(bench: Bench, task_clock: TestClock) -> None:
    values: dict[str, Any] = {
        "kind": "index_document",
        "queue": "documents",
        "payload": {"text": "索引 %_\\ \"'\n", "half": "\ud800", "none": None, "nested": [1.5, {"a": True}]},
        "priority": 9,
        "max_attempts": 2,
        "soft_limit_seconds": 1.25,
        "hard_limit_seconds": 2.5,
        "parent_id": "somebody",
        "collection": "文档",
        "user_id": 7,
        "idempotency_key": "key",
        "request_hash": "hash",
    }

    task = bench.add(**values)

    assert {name: getattr(task, name) for name in values} == values
    assert bench.get(task) == task
    assert (task.state, task.due, task.attempt, task.crash_count, task.lease) == (TaskState.PENDING, True, 0, 0, 0)
    assert task.created_at == task.updated_at == task_clock.now()
    assert task.progress == Progress()
    assert (task.started_at, task.finished_at, task.result, task.error, task.worker_id) == (None,) * 5


def test_add_returns_tasks_in_order_with_growing_numbers(bench: Bench) -> None:
    drafts = [new_task() for _ in range(1200)]

    tasks = bench.store.add(drafts)

    assert [task.id for task in tasks] == [draft.id for draft in drafts]
    assert [task.number for task in tasks] == sorted({task.number for task in tasks})
    assert bench.store.get_many([draft.id for draft in reversed(drafts)]) == tasks[::-1]


def test_add_of_nothing_changes_nothing(bench: Bench) -> None:
    assert bench.store.add([]) == []


def test_add_answers_with_the_task_as_it_is_when_the_id_is_known(bench: Bench) -> None:
    task = bench.started(id="one", payload={"n": 1})

    again, other = bench.store.add([new_task(id="one", payload={"n": 2}), new_task(id="two")])

    assert again == task
    assert other.state is TaskState.PENDING
    assert bench.history("one") == ["submitted", "claimed"]


def test_add_answers_twice_with_one_task_when_a_list_repeats_it(bench: Bench) -> None:
    tasks = bench.store.add(
        [new_task(id="one"), new_task(id="one"), new_task(idempotency_key="k"), new_task(idempotency_key="k")]
    )

    assert tasks[0] == tasks[1]
    assert tasks[2] == tasks[3]
    assert bench.store.counts(TaskFilter()) == {TaskState.PENDING: 2}
    assert bench.history("one") == ["submitted"]


def test_add_answers_with_the_known_task_when_key_and_request_are_the_same(bench: Bench) -> None:
    first = bench.add(idempotency_key="key", request_hash="same")

    second = bench.add(idempotency_key="key", request_hash="same")

    assert second == first
    assert bench.history(first) == ["submitted"]


@pytest.mark.parametrize("known_before", [True, False])
def test_add_refuses_all_when_one_key_was_used_for_another_request(bench: Bench, *, known_before: bool) -> None:
    first = new_task(idempotency_key="key", request_hash="one")
    drafts = [new_task(), new_task(idempotency_key="key", request_hash="other")]
    if known_before:
        bench.store.add([first])
    else:
        drafts.insert(0, first)

    with pytest.raises(Conflict, match="key") as caught:
        bench.store.add(drafts)

    assert caught.value.code == "idempotency_key_reused"
    assert sum(bench.store.counts(TaskFilter()).values()) == int(known_before)
    assert len(bench.store.events()) == int(known_before)


def test_add_accepts_one_when_twenty_threads_bring_the_same_key(bench: Bench) -> None:
    def submit(_: int) -> str:
        return bench.add(idempotency_key="key", request_hash="same").id

    with ThreadPoolExecutor(20) as threads:
        ids = set(threads.map(submit, range(20)))

    assert len(ids) == 1
    assert bench.history(ids.pop()) == ["submitted"]


def test_add_makes_a_task_due_unless_it_is_scheduled_ahead(bench: Bench, task_clock: TestClock) -> None:
    now = task_clock.now()

    late, ahead = bench.store.add([new_task(scheduled_at=now), new_task(scheduled_at=now + 1)])

    assert (late.due, ahead.due) == (True, False)
    assert [task.id for task in bench.claim(limit=5)] == [late.id]


def test_get_names_the_task_when_there_is_none(bench: Bench) -> None:
    with pytest.raises(NotFound) as caught:
        bench.store.get("nobody")

    assert (caught.value.code, caught.value.facts) == ("task_not_found", {"task_id": "nobody"})


def test_get_many_leaves_out_what_does_not_exist(bench: Bench) -> None:
    one, two = bench.add(), bench.add()

    assert bench.store.get_many([two.id, "nobody", one.id]) == [two, one]
    assert bench.store.get_many([]) == []


def test_find_pages_newest_first(bench: Bench) -> None:
    tasks = [bench.add() for _ in range(5)]

    first = bench.store.find(TaskFilter(), limit=2)
    second = bench.store.find(TaskFilter(), limit=2, before=first[-1].number)
    third = bench.store.find(TaskFilter(), limit=2, before=second[-1].number)

    assert [*first, *second, *third] == tasks[::-1]


FILTERS: Mapping[str, tuple[TaskFilter, str]] = {
    "ids": (TaskFilter(ids=["a"]), "a"),
    "many_ids": (TaskFilter(ids=["a", "b", "nobody"]), "ab"),
    "states": (TaskFilter(states=[TaskState.COMPLETED, TaskState.FAILED]), "bc"),
    "kinds": (TaskFilter(kinds=["index_document"]), "a"),
    "queues": (TaskFilter(queues=["documents"]), "d"),
    "engines": (TaskFilter(engines=["rq"]), "d"),
    "collection": (TaskFilter(collection="书"), "a"),
    "parent_id": (TaskFilter(parent_id="a"), "d"),
    "created_after": (TaskFilter(created_after=1_700_000_001_000_000), "cd"),
    "created_before": (TaskFilter(created_before=1_700_000_001_000_000), "a"),
    "text": (TaskFilter(text="100%"), "a"),
    "text_percent_is_no_wildcard": (TaskFilter(text="1%0"), ""),
    "text_underscore_is_no_wildcard": (TaskFilter(text="my_file"), "b"),
    "text_backslash": (TaskFilter(text="C:\\\\dir"), "d"),
    "text_chinese": (TaskFilter(text="中文文件"), "d"),
    "text_in_error": (TaskFilter(text="broken.pdf"), "c"),
    "all_at_once": (TaskFilter(kinds=["ping"], states=[TaskState.FAILED], text="broken", ids=["c", "d"]), "c"),
    "contradiction": (TaskFilter(kinds=["index_document"], queues=["documents"]), ""),
    "empty": (TaskFilter(), "abcd"),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filter_means_what_each_field_says(bench: Bench, task_clock: TestClock, name: str) -> None:
    bench.add(id="a", kind="index_document", collection="书", payload={"note": "100% sure"})
    task_clock.pass_time(1)
    bench.ended(Completed(), id="b", payload={"file": "my_file.txt"})
    task_clock.pass_time(1)
    bench.ended(
        Failed(error=TaskError(code="pdf_damaged", facts={"name": "broken.pdf"})), id="c", payload={"f": "myxfile"}
    )
    bench.add(
        id="d", queue="documents", parent_id="a", payload={"file": "中文文件.pdf", "path": "C:\\dir"}, engine="rq"
    )
    where, expected = FILTERS[name]

    found = bench.store.find(where, limit=10)

    assert sorted(task.id for task in found) == list(expected)
    assert sum(bench.store.counts(where).values()) == len(expected)


def test_counts_leave_out_states_without_tasks(bench: Bench) -> None:
    bench.add()
    bench.ended(Completed())
    bench.ended(Completed())

    assert bench.store.counts(TaskFilter()) == {TaskState.PENDING: 1, TaskState.COMPLETED: 2}
