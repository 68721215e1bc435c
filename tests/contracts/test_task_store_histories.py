"""Random histories: whatever the order of operations, no promise of the lifecycle is broken."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, rule

from gristmill.db.database import Database
from gristmill.db.tasks import SqlTaskStore
from gristmill.tasks.lifecycle import TRANSITIONS
from gristmill.tasks.model import Lost, Task, TaskFilter, TaskState, Waiting
from gristmill.tasks.ports import TaskStore
from tests.support.clock import TestClock
from tests.support.tasks import OUTCOMES, WORKER, Bench, new_task, new_worker

Open = Callable[[Path, TestClock], tuple[TaskStore, Callable[[], None]]]


def _sqlite(folder: Path, clock: TestClock) -> tuple[TaskStore, Callable[[], None]]:
    database = Database(f"sqlite:///{folder / 'tasks.db'}")
    database.migrate()
    return SqlTaskStore(database, clock=clock, result_expires_seconds=60), database.close


class Histories(RuleBasedStateMachine):
    """Clients, workers and a sweeper do as they please with a few tasks."""

    open: Open = staticmethod(_sqlite)
    tasks: Bundle[str] = Bundle("tasks")
    attempts: Bundle[Task] = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = TestClock()
        self.store, self.close = type(self).open(Path(self.folder.name), self.clock)
        self.bench = Bench(self.store)

    def teardown(self) -> None:
        self.close()
        self.folder.cleanup()

    @rule(target=tasks, priority=st.integers(0, 9))
    def submit(self, priority: int) -> str:
        return self.bench.add(priority=priority).id

    @rule(target=attempts, limit=st.integers(1, 3))
    def claim(self, limit: int) -> MultipleResults[Task]:
        return multiple(*self.bench.claim(limit=limit))

    @rule(attempt=attempts, outcome=st.sampled_from(sorted(OUTCOMES)))
    def finish(self, attempt: Task, outcome: str) -> None:
        # Attempts stay in the bundle: most of these are stale, as those of zombies are.
        before = self.bench.get(attempt)
        ended = self.store.finish(attempt.id, attempt.lease, OUTCOMES[outcome](attempt))
        held = before.state is TaskState.PROCESSING and before.worker_id and before.lease == attempt.lease
        assert (ended is not None) == bool(held)
        assert ended is not None or self.bench.get(attempt) == before

    @rule(target=tasks, attempt=consumes(attempts), count=st.integers(0, 3))
    def pause(self, attempt: Task, count: int) -> MultipleResults[str]:
        spawn = [new_task(parent_id=attempt.id) for _ in range(count)]
        ended = self.store.finish(attempt.id, attempt.lease, Waiting(spawn=spawn, checkpoint={}))
        return multiple(*(task.id for task in self.store.get_many([task.id for task in spawn]) if ended))

    @rule(task_id=tasks)
    def cancel(self, task_id: str) -> None:
        self.bench.cancel(task_id)

    @rule(task_id=tasks)
    def retry(self, task_id: str) -> None:
        self.bench.retry(task_id)

    @rule()
    def lose_the_worker(self) -> None:
        self.store.remove_worker(WORKER, Lost(reason="heartbeat stopped"))
        assert self.store.held(WORKER) == []
        self.store.register_worker(new_worker())

    @rule(seconds=st.sampled_from([1, 61]))
    def pass_time(self, seconds: int) -> None:
        self.clock.pass_time(seconds)
        self.store.promote_due()
        self.store.purge_items()

    @invariant()
    def rows_agree_with_themselves_and_each_other(self) -> None:
        tasks = self.store.find(TaskFilter(), limit=1000)
        open_children = {task.parent_id for task in tasks if not task.state.is_final}
        for task in tasks:
            assert not (task.state is TaskState.PENDING and task.cancel_requested)
            assert task.attempt >= 0
            waits = task.state is TaskState.PROCESSING and task.worker_id is None
            assert not waits or task.id in open_children, "nobody would ever resume it"

    @invariant()
    def every_history_is_a_path_through_the_lifecycle(self) -> None:
        states: dict[str, TaskState] = {}
        leases: dict[str, int] = {}
        last = 0
        for event in self.store.events(limit=100_000):
            assert event.seq > last
            last = event.seq
            if event.name in TRANSITIONS:
                transition = TRANSITIONS[event.name]
                before = states.get(event.task_id)
                assert before in transition.sources if transition.sources else before is None
                states[event.task_id] = transition.target
            grown = event.lease - leases.get(event.task_id, 0)
            assert grown == (1 if event.name == "claimed" else 0)
            leases[event.task_id] = event.lease
        for task in self.store.find(TaskFilter(), limit=1000):
            assert (states[task.id], leases[task.id]) == (task.state, task.lease)


TestSqliteHistories = Histories.TestCase
TestSqliteHistories.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
