"""Children can be run before their parent has said that it waits for all of them, and workers hear of it."""

from pathlib import Path

from gristmill.db.database import Database
from gristmill.db.tasks import SqlTaskStore
from gristmill.tasks.model import TaskFilter, TaskState, Waiting
from tests.support.clock import TestClock
from tests.support.tasks import Bench, new_task


def test_workers_are_woken_for_children_whose_parent_does_not_wait_yet(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/tasks.db")
    database.migrate()
    seen: list[tuple[int, bool]] = []

    def ring() -> None:
        there = bench.store.counts(TaskFilter(parent_id=parent.id))
        seen.append((there[TaskState.PENDING], bench.get(parent).worker_id is not None))

    bench = Bench(SqlTaskStore(database, clock=TestClock(), result_expires_seconds=60, ring=ring))
    parent = bench.started()

    bench.end(parent, Waiting(spawn=[new_task(parent_id=parent.id) for _ in range(600)]))

    assert seen == [(256, True), (512, True)]
    database.close()
