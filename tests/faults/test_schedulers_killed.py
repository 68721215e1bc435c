"""Five schedulers on one database, which die at every moment that matters and come back: each tick is one task."""

import itertools
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from gristmill.tasks.model import TaskFilter, TaskState
from gristmill.tasks.schedule import Overlap, Schedule, task_id_of
from tests.integration.worker.conftest import Mill
from tests.support.pairs import every_pair
from tests.support.processes import python_environment
from tests.support.valkey import fresh_broker
from tests.support.waiting import eventually

SCHEDULERS = 5
SECOND = 1_000_000
PLACES = ("before_fire", "mid_fire", "after_fire")


@dataclass
class Schedulers:
    """Processes that look at the schedules of one Gristmill; each dies at a place of its own, sooner or later."""

    mill: Mill
    source: random.Random
    running: "dict[subprocess.Popen[bytes], str]" = field(default_factory=dict)
    deaths: Counter[str] = field(default_factory=Counter)
    places: Iterator[str] = field(default_factory=lambda: itertools.cycle(PLACES))

    def start(self) -> None:
        place = next(self.places)
        settings = self.mill.app.settings.tasks
        environment = python_environment(
            GRISTMILL_DATA=str(self.mill.app.settings.data),
            GRISTMILL_TASKS__SWEEP_SECONDS=str(settings.sweep_seconds),
            GRISTMILL_FAILPOINT=f"{place}:kill@{self.source.randint(3, 15)}",
            **self.mill.environment,
        )
        command = [sys.executable, "-m", "gristmill.cli.main", "scheduler"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.running[process] = place

    def replace_the_dead(self) -> None:
        for process in [one for one in self.running if one.poll() is not None]:
            assert process.returncode == -signal.SIGKILL
            self.deaths[self.running.pop(process)] += 1
            self.start()

    def kill_one(self) -> None:
        """At no place in particular."""
        process = self.source.choice(list(self.running))
        process.kill()
        process.wait(10)
        self.running[process] = "anywhere"


@contextmanager
def schedulers(mill: Mill, seed: int) -> Iterator[Schedulers]:
    made = Schedulers(mill, random.Random(seed))
    try:
        for _ in range(SCHEDULERS):
            made.start()
        yield made
    finally:
        for process in made.running:
            process.kill()
            process.wait(10)


def came(before: Schedule, after: Schedule) -> int:
    """How many ticks of an interval of a second came between the two."""
    return (after.next_tick_at - before.next_tick_at) // SECOND


@pytest.mark.slow
@every_pair
def test_each_tick_is_one_task_while_five_schedulers_die_and_come_back(
    make_mill: Callable[..., Mill], engine: str
) -> None:
    broker = {} if engine == "local" else {"redis": {"url": fresh_broker()}}
    mill = make_mill(engine={"name": engine}, **broker)
    made = [
        mill.app.schedules.add(f"s{number}", kind="ping", payload={}, every=1, overlap=Overlap.ALLOW)
        for number in range(10)
    ]

    with schedulers(mill, seed=28) as five:

        def enough() -> bool:
            five.replace_the_dead()
            if five.source.random() < 0.03:
                five.kill_one()
            passed = min(came(one, mill.app.schedules.get(one.id)) for one in made)
            return passed >= 8 and min(five.deaths[place] for place in (*PLACES, "anywhere")) >= 2

        eventually(enough, 120)

    for before in made:
        after = mill.app.schedules.get(before.id)
        possible = [before.next_tick_at + number * SECOND for number in range(came(before, after))]
        assert after.fired + after.missed == len(possible)
        assert (after.skipped, after.error) == (0, None)
    ids = {
        task_id_of(one, one.next_tick_at + number * SECOND): one.name
        for one in made
        for number in range(came(one, mill.app.schedules.get(one.id)))
    }
    tasks = mill.app.tasks.find(TaskFilter(), limit=10_000)
    by_schedule = Counter(ids[task.id] for task in tasks)
    assert by_schedule == {one.name: mill.app.schedules.get(one.id).fired for one in made}
    assert all(mill.history(task) == ["submitted"] for task in tasks)
    for one in made:
        # Workers look at schedules, too.
        mill.app.schedules.pause(one.id)
    mill.start(concurrency=2)
    eventually(lambda: mill.app.tasks.counts(TaskFilter()) == {TaskState.COMPLETED: len(tasks)}, 60)
    assert {tuple(mill.history(task)) for task in tasks} == {("submitted", "claimed", "completed")}
    assert {task.engine for task in tasks} == {engine}


def test_task_of_a_tick_whose_scheduler_died_before_it_told_anybody_runs(mill: Mill) -> None:
    mill.app.schedules.add("once", kind="ping", payload={"note": "told by nobody"}, every="1h", paused=True)
    # Nobody waits an hour: the next tick is a minute ago.
    with mill.app.database.write() as tx:
        due_at = mill.app.clock.now() - 60 * SECOND
        tx.exec_driver_sql(f"UPDATE schedules SET next_tick_at = {due_at}, paused = false")
    environment = python_environment(
        GRISTMILL_DATA=str(mill.app.settings.data), GRISTMILL_FAILPOINT="after_fire:kill", **mill.environment
    )

    died = subprocess.run(
        [sys.executable, "-m", "gristmill.cli.main", "scheduler"], env=environment, check=False, timeout=60
    )
    (task,) = mill.app.tasks.find(TaskFilter())
    mill.start()

    assert died.returncode == -signal.SIGKILL
    assert mill.ended(task).result == {"note": "told by nobody"}
    assert mill.app.schedules.get("once").fired == 1
