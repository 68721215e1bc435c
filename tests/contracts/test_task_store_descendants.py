"""What a task started, and what that started in turn, looked for and acted on as one."""

from dataclasses import dataclass

import pytest

from gristmill.tasks.model import Completed, Failed, Task, TaskFilter, TaskState, Waiting
from tests.support.tasks import ERROR, Bench, new_task


@dataclass(frozen=True, slots=True)
class Family:
    """A task that waits for one that has failed and one that waits for two more, and strangers beside them."""

    root: Task
    failed: Task
    parent: Task
    running: Task
    waiting: Task
    stranger: Task

    @property
    def where(self) -> TaskFilter:
        """All below the root."""
        return TaskFilter(ancestor_id=self.root.id)


@pytest.fixture
def family(bench: Bench) -> Family:
    root = bench.started()
    failed, parent = new_task(parent_id=root.id), new_task(parent_id=root.id)
    bench.end(root, Waiting(spawn=[failed, parent]))
    running, waiting = new_task(parent_id=parent.id, collection="c"), new_task(parent_id=parent.id)
    bench.end(bench.take(parent.id), Waiting(spawn=[running, waiting]))
    bench.end(bench.take(failed.id), Failed(error=ERROR))
    bench.take(running.id)
    strangers, (stranger,) = bench.waiting(1)
    ids = [root.id, failed.id, parent.id, running.id, waiting.id, stranger.id]
    assert strangers.state is TaskState.PROCESSING
    return Family(*bench.store.get_many(ids))


def test_find_takes_descendants_of_every_generation_newest_first(bench: Bench, family: Family) -> None:
    found = bench.store.find(family.where, limit=10)

    assert [task.id for task in found] == [family.waiting.id, family.running.id, family.parent.id, family.failed.id]
    page = bench.store.find(family.where, limit=2, before=found[1].number)
    assert page == found[2:]


def test_find_combines_descendants_with_other_conditions(bench: Bench, family: Family) -> None:
    where = TaskFilter(ancestor_id=family.root.id, collection="c", states=[TaskState.PROCESSING])

    assert [task.id for task in bench.store.find(where, limit=10)] == [family.running.id]
    assert bench.store.find(TaskFilter(ancestor_id=family.parent.id, ids=[family.failed.id]), limit=10) == []


def test_task_without_children_has_no_descendants(bench: Bench, family: Family) -> None:
    assert bench.store.find(TaskFilter(ancestor_id=family.waiting.id), limit=10) == []
    assert bench.store.counts(TaskFilter(ancestor_id="nobody")) == {}


def test_counts_are_those_of_the_descendants(bench: Bench, family: Family) -> None:
    assert bench.store.counts(family.where) == {
        TaskState.FAILED: 1,
        TaskState.PROCESSING: 2,
        TaskState.PENDING: 1,
    }


def test_cancel_of_descendants_lets_the_ancestor_go_on(bench: Bench, family: Family) -> None:
    assert bench.store.request_cancel(family.where) == 3

    assert bench.get(family.failed).state is TaskState.FAILED
    assert bench.get(family.parent).state is TaskState.CANCELLED
    assert bench.get(family.waiting).state is TaskState.CANCELLED
    assert bench.get(family.running).cancel_requested
    assert bench.get(family.root).state is TaskState.PENDING
    assert bench.get(family.stranger).state is TaskState.PENDING


def test_retry_of_descendants_takes_those_that_failed_or_were_cancelled(bench: Bench, family: Family) -> None:
    bench.cancel(family.waiting.id, family.stranger.id)

    assert sorted(bench.store.retry(family.where)) == sorted([family.failed.id, family.waiting.id])

    assert bench.get(family.failed).state is TaskState.PENDING
    assert bench.get(family.stranger).state is TaskState.CANCELLED
    # Its parent waits for it again.
    assert bench.get(family.root).progress.failed == 0


def test_family_of_many_is_counted_at_once(bench: Bench) -> None:
    root = bench.started()
    groups = [new_task(parent_id=root.id) for _ in range(3)]
    bench.end(root, Waiting(spawn=groups))
    for group in groups:
        spawn = [new_task(parent_id=group.id) for _ in range(400)]
        bench.end(bench.take(group.id), Waiting(spawn=spawn))
    for child in bench.claim(limit=100):
        bench.end(child, Completed())

    assert bench.store.counts(TaskFilter(ancestor_id=root.id)) == {
        TaskState.PROCESSING: 3,
        TaskState.COMPLETED: 100,
        TaskState.PENDING: 1100,
    }
