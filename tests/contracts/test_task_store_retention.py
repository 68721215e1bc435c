"""How long results and history are kept."""

from gristmill.tasks.model import Completed, Failed, TaskFilter, TaskState
from tests.contracts.task_store import ITEMS_LAST_SECONDS
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, Bench


def test_items_are_read_by_position(bench: Bench) -> None:
    task = bench.ended(Completed(items=[{"n": number} for number in range(5)]))

    assert [item["n"] for item in bench.store.items(task.id)] == [0, 1, 2, 3, 4]
    assert [item["n"] for item in bench.store.items(task.id, offset=1, limit=2)] == [1, 2]
    assert bench.store.items(task.id, offset=5) == []
    assert bench.store.items("nobody") == []


def test_items_of_a_failure_are_kept_too(bench: Bench) -> None:
    task = bench.ended(Failed(error=ERROR, items=[{"n": 1}]))

    assert (bench.store.items(task.id), task.item_count) == ([{"n": 1}], 1)


def test_items_are_gone_when_they_expired_swept_or_not(bench: Bench, task_clock: TestClock) -> None:
    task = bench.ended(Completed(result={"kept": True}, items=[{"n": 1}]))
    task_clock.pass_time(ITEMS_LAST_SECONDS - 1)
    before = (bench.store.items(task.id), bench.store.purge_items())
    task_clock.pass_time(1)

    expired = bench.store.items(task.id)
    purged = [bench.store.purge_items(), bench.store.purge_items()]

    assert before == ([{"n": 1}], 0)
    assert (expired, purged) == ([], [1, 0])
    assert bench.store.items(task.id) == []
    assert (bench.get(task).result, bench.get(task).item_count) == ({"kept": True}, 1)


def test_purge_forgets_final_tasks_that_ended_before(bench: Bench, task_clock: TestClock) -> None:
    old = bench.ended(Completed(items=[{"n": 1}]))
    open_ = [bench.add(), bench.started(priority=9)]
    task_clock.pass_time(10)
    recent = bench.ended(Failed(error=ERROR), priority=9)

    assert bench.store.purge(finished_before=task_clock.now(), limit=10) == 1

    assert bench.store.get_many([old.id]) == []
    assert bench.events(old) == []
    assert bench.store.items(old.id) == []
    assert bench.store.get_many([open_[0].id, open_[1].id, recent.id]) == [*open_, recent]


def test_purge_takes_no_more_than_its_limit(bench: Bench, task_clock: TestClock) -> None:
    for _ in range(5):
        bench.ended(Completed())
    task_clock.pass_time(1)

    counts = [bench.store.purge(finished_before=task_clock.now(), limit=2) for _ in range(4)]

    assert counts == [2, 2, 1, 0]
    assert bench.store.counts(TaskFilter()) == {}


def test_purged_idempotency_key_is_free_again(bench: Bench, task_clock: TestClock) -> None:
    bench.ended(Completed(), idempotency_key="key", request_hash="one")
    task_clock.pass_time(1)
    bench.store.purge(finished_before=task_clock.now(), limit=10)

    assert bench.add(idempotency_key="key", request_hash="other").state is TaskState.PENDING
