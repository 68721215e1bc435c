"""Composed tasks one pass at a time: what each pass makes of its parts, whoever has changed them since."""

from pathlib import Path

import pytest

from gristmill.canvas import chain, group, kind
from gristmill.engines.bell import Bell
from gristmill.engines.local import LocalEngine
from gristmill.kinds import KINDS
from gristmill.tasks.compose import Composer
from gristmill.tasks.context import RunContext
from gristmill.tasks.model import Cancelled, Completed, Failed, Outcome, Task, TaskFilter, TaskState
from gristmill.tasks.references import WORKFLOW, part_id
from gristmill.tasks.runner import Runner
from gristmill.tasks.service import TaskService
from gristmill.tasks.workflow import Node, to_stored
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, Bench

ping = kind("ping")


class Loom:
    """Runs composed tasks in this process; pings end as a test says."""

    def __init__(self, bench: Bench, clock: TestClock, folder: Path) -> None:
        self.bench = bench
        self.service = TaskService(bench.store, LocalEngine(Bell(folder)), KINDS, clock)
        self._runner = Runner(bench.store, KINDS, {WORKFLOW: Composer(self.service.draft)}, clock)
        self._clock = clock
        self._folder = folder

    def submit(self, work: Node, policy: str = "stop") -> Task:
        """A workflow after its first pass, and those of all that is composed in it."""
        task = self.service.submit(WORKFLOW, {"tree": to_stored(work), "on_failure": policy})
        self.go_on()
        return self.bench.get(task)

    def go_on(self) -> None:
        """Every pass that is due."""
        while claimed := self.bench.claim(kinds=[WORKFLOW]):
            context = RunContext(claimed[0], self.bench.store, self._clock, temp_dir=self._folder)
            self._runner.run(claimed[0], context, guard=lambda attempt: attempt())

    def end(self, task: Task, place: int, outcome: Outcome) -> Task:
        """A part of ``task`` after an attempt that came to ``outcome``."""
        return self.bench.end(self.bench.take(part_id(task.id, place)), outcome)

    def counts(self, task: Task) -> tuple[TaskState, int, int]:
        """The state of ``task``, and how many of its parts have completed and not."""
        now = self.bench.get(task)
        return now.state, now.progress.done, now.progress.failed


@pytest.fixture
def loom(bench: Bench, clock: TestClock, tmp_path: Path) -> Loom:
    return Loom(bench, clock, tmp_path)


@pytest.mark.parametrize("policy", ["stop", "continue", "compensate"])
def test_member_that_somebody_retries_before_the_group_looks_is_waited_for(loom: Loom, policy: str) -> None:
    task = loom.submit(group(ping.s("a"), ping.s("b")), policy)
    loom.end(task, 0, Completed())
    loom.end(task, 1, Failed(error=ERROR))
    loom.bench.retry(part_id(task.id, 1))

    loom.go_on()
    waits = loom.counts(task)
    loom.end(task, 1, Completed())
    loom.go_on()

    assert waits[0] is TaskState.PROCESSING
    assert loom.counts(task) == (TaskState.COMPLETED, 2, 0)
    assert loom.bench.get(task).result == {"form": "group", "total": 2, "failed": 0}


def test_step_that_somebody_retries_before_the_chain_looks_is_followed_by_the_next(loom: Loom) -> None:
    task = loom.submit(chain(ping.s("a"), ping.s("b")))
    loom.end(task, 0, Failed(error=ERROR))
    loom.bench.retry(part_id(task.id, 0))

    loom.go_on()
    loom.end(task, 0, Completed())
    loom.go_on()
    middle = loom.counts(task)
    loom.end(task, 1, Completed())
    loom.go_on()

    assert middle == (TaskState.PROCESSING, 1, 0)
    assert loom.counts(task) == (TaskState.COMPLETED, 2, 0)


def test_member_that_fails_again_still_counts(loom: Loom) -> None:
    task = loom.submit(group(ping.s("a"), ping.s("b")))
    loom.end(task, 0, Completed())
    loom.end(task, 1, Failed(error=ERROR))
    loom.bench.retry(part_id(task.id, 1))
    loom.go_on()

    loom.end(task, 1, Failed(error=ERROR))
    loom.go_on()

    assert loom.bench.get(task).state is TaskState.FAILED


@pytest.mark.parametrize(
    ("outcomes", "bad", "reason"),
    [
        ([Completed(), Failed(error=ERROR)], 1, ERROR.code),
        ([Cancelled(), Completed()], 0, "cancelled"),
        # Whoever was cancelled may have been so because of the one that failed.
        ([Cancelled(), Failed(error=ERROR)], 1, ERROR.code),
    ],
)
def test_error_names_the_part_that_was_the_cause(loom: Loom, outcomes: list[Outcome], bad: int, reason: str) -> None:
    task = loom.submit(group(ping.s("a"), ping.s("b")))
    for place, outcome in enumerate(outcomes):
        loom.end(task, place, outcome)
    loom.go_on()

    error = loom.bench.get(task).error
    assert error is not None
    assert (error.code, dict(error.facts)) == (
        "workflow_part_failed",
        {"kind": "ping", "task_id": part_id(task.id, bad), "reason": reason},
    )


def test_chain_that_continues_counts_each_part_once(loom: Loom) -> None:
    task = loom.submit(chain(ping.s("a"), ping.s("b"), ping.s("c")), "continue")
    seen: list[tuple[int, ...]] = []
    outcomes: list[Outcome] = [Failed(error=ERROR), Completed(), Cancelled()]
    for place, outcome in enumerate(outcomes):
        loom.end(task, place, outcome)
        loom.go_on()
        seen.append(loom.counts(task)[1:])

    assert seen == [(0, 1), (1, 1), (1, 2)]
    assert loom.bench.get(task).result == {"form": "chain", "total": 3, "failed": 2}


def test_pass_that_is_repeated_finds_the_parts_there_are(loom: Loom) -> None:
    task = loom.submit(chain(group(ping.s("a"), ping.s("b")), ping.s("c")))
    members = part_id(task.id, 0)
    loom.bench.cancel(task.id)
    loom.bench.retry(task.id)

    loom.go_on()

    found = loom.bench.store.find(TaskFilter(ancestor_id=task.id), limit=10)
    assert sorted(child.id for child in found) == sorted([members, part_id(members, 0), part_id(members, 1)])
    assert {child.state for child in found if child.kind == "ping"} == {TaskState.PENDING}
