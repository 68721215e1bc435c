"""Fan-in under fire: members, those who start them and those who wait for them die at random; each is done once.

With ``GRISTMILL_CHAOS_SEED``, which is printed when a test fails.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from gristmill.canvas import chord, group, previous
from gristmill.tasks.model import Task, TaskState
from gristmill.tasks.workflow import Step
from tests.integration.worker.conftest import Mill
from tests.support.composed import Composed
from tests.support.pairs import every_pair
from tests.support.valkey import own_server as own_broker
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SEED = int(os.environ.get("GRISTMILL_CHAOS_SEED") or random.SystemRandom().randrange(10**9))
MEMBERS = 200
WORKERS = 2
KILLS = 5
CALM_SECONDS = 60


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closed when nothing needs it any more."""
    with ExitStack() as stack:
        yield stack


class Storm:
    """Kills slots, supervisors and whole workers, and puts others in their place."""

    def __init__(self, mill: Mill, source: random.Random) -> None:
        self._mill = mill
        self._source = source

    def start(self, workers: int) -> None:
        """Bring workers up until there are so many."""
        while sum(worker.poll() is None for worker in self._mill.workers) < workers:
            self._mill.start(concurrency=2)

    def kill(self) -> None:
        """One of the processes of a worker that has something to do, or all of them."""
        eventually(self._is_busy, CALM_SECONDS)
        trees = [tree for worker in self._mill.workers if worker.poll() is None and (tree := self._mill.tree(worker))]
        if trees:
            tree = self._source.choice(trees)
            for process in self._source.choice([tree, self._source.sample(tree, 1), tree[-1:], tree[-1:]]):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
        time.sleep(self._source.uniform(0.05, 0.3))

    def _is_busy(self) -> bool:
        store = self._mill.app.store
        return any(store.held(worker.id) for worker in store.workers())


@every_pair
def test_body_runs_once_whoever_is_killed(
    make_mill: Callable[..., Mill], engine: str, stack: ExitStack, tmp_path: Path
) -> None:
    sys.stderr.write(f"GRISTMILL_CHAOS_SEED={SEED}\n")
    source = random.Random(f"{SEED}/{engine}")
    broker = None if engine == "local" else stack.enter_context(own_broker(tmp_path / "valkey"))
    mill = make_mill(
        tasks={"lease_seconds": 1.0},
        redis={} if broker is None else {"url": broker.url()},
        engine={"name": engine},
    )
    folder = tmp_path / "errands"
    folder.mkdir()
    composed = Composed(mill, folder)
    names = [f"{number}" for number in range(MEMBERS)]
    work = chord((composed.errand(name, seconds=0.04) for name in names), composed.errand("body", previous()))
    storm = Storm(mill, source)
    storm.start(WORKERS)

    task = composed.submit(work)
    for _ in range(KILLS):
        storm.kill()
        storm.start(1)
    ended = mill.ended(task, CALM_SECONDS)

    assert ended.state is TaskState.COMPLETED, ended.error
    assert composed.effects(task) == dict.fromkeys([*names, "body"], 1)
    assert [result["name"] for result in composed.value(task, "body")] == names
    assert composed.what_broke(task) == []
    assert {child.engine for child in composed.family(task)} == {engine}
    events = [event for child in composed.family(task) for event in mill.history(child)]
    assert {"worker_lost", "released"} & set(events), "nobody was hurt"


def parked(mill: Mill, tmp_path: Path, policy: str) -> tuple[Composed, Task, Task]:
    """Errands with one among them that kills its process, after the end; and that one."""
    composed = Composed(mill, tmp_path)
    mill.start(concurrency=2)
    fatal = Step(kind="crashing", payload={"folder": str(tmp_path)})
    members = group(composed.undone("a"), fatal, composed.undone("b"))

    task = composed.run(composed.undone("first") | members | composed.errand("body", previous()), on_failure=policy)

    (bad,) = [child for child in composed.family(task) if child.kind == "crashing"]
    assert (bad.state, bad.crash_count, bad.error and bad.error.code) == (TaskState.FAILED, 3, "task_parked")
    assert composed.what_broke(task) == []
    return composed, task, bad


def test_member_that_kills_its_process_is_parked_and_the_workflow_stops(mill: Mill, tmp_path: Path) -> None:
    composed, task, bad = parked(mill, tmp_path, "stop")

    assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "workflow_part_failed")
    (members,) = [child for child in composed.family(task) if child.kind == "workflow" and child.parent_id == task.id]
    assert members.error is not None
    assert members.error.facts == {"kind": "crashing", "task_id": bad.id, "reason": "task_parked"}
    assert "body" not in composed.states(task)


def test_member_that_kills_its_process_is_parked_and_the_workflow_continues(mill: Mill, tmp_path: Path) -> None:
    composed, task, _ = parked(mill, tmp_path, "continue")

    assert task.state is TaskState.COMPLETED
    assert [result and result["name"] for result in composed.value(task, "body")] == ["a", None, "b"]
    assert composed.effects(task) == {"first": 1, "a": 1, "b": 1, "body": 1}


def test_member_that_kills_its_process_is_parked_and_the_rest_is_undone(mill: Mill, tmp_path: Path) -> None:
    composed, task, _ = parked(mill, tmp_path, "compensate")

    assert task.state is TaskState.FAILED
    effects = composed.effects(task)
    assert effects["undo first"] == 1
    assert all(count == 1 for count in effects.values())
    # Whatever completed was undone, and nothing else.
    assert {name for name in effects if name.startswith("undo ")} == {
        f"undo {name}" for name in effects if not name.startswith("undo ")
    }
