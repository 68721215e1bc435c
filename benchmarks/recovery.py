"""How long a task waits after its process was killed, from SIGKILL to the start of its next attempt."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from benchmarks.support import Cell, Options, Table, fresh, percentiles, until
from gristmill.app import Gristmill
from gristmill.tasks.model import Event, Task

__all__ = ["run"]

_START_SECONDS = 60.0
_TASK_SECONDS = 50.0
"""Longer than any recovery, shorter than the soft limit of its kind: it runs whenever it is killed."""
_MOST_SECONDS = 90.0


@dataclass(slots=True)
class _Crew:
    """The workers of one data directory, whose settings they get from the environment."""

    app: Gristmill
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self) -> "subprocess.Popen[bytes]":
        """Start a worker of one slot; it is up to the caller to wait for it."""
        tasks = self.app.settings.tasks
        own = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
        own["GRISTMILL_TASKS__LEASE_SECONDS"] = str(tasks.lease_seconds)
        own["GRISTMILL_TASKS__SWEEP_SECONDS"] = str(tasks.sweep_seconds)
        command = [sys.executable, "-m", "gristmill.worker", "--data", str(self.app.paths.data), "--concurrency", "1"]
        with (self.app.paths.logs / "worker.log").open("ab") as log:
            self.workers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=own))
        return self.workers[-1]

    def ready(self) -> None:
        """Wait until every living worker is known and has a slot."""

        def all_up() -> bool:
            known = {worker.pid for worker in self.app.store.workers()}
            alive = [worker.pid for worker in self.workers if worker.poll() is None]
            return known >= set(alive) and all(psutil.Process(pid).children() for pid in alive)

        until(all_up, "the workers did not start", seconds=_START_SECONDS)

    def running(self) -> tuple[Task, int]:
        """A task that has begun to run, and the process id of the worker that runs it."""
        task = self.app.tasks.submit("ping", {"seconds": _TASK_SECONDS})
        self.claimed(task, 1)
        pids = {worker.id: worker.pid for worker in self.app.store.workers()}
        # Long enough for its start to be everywhere; from then on, at a random moment between two beats.
        time.sleep(1.0 + random.uniform(0.0, min(5.0, self.app.settings.tasks.lease_seconds / 4)))
        return task, pids[self.app.store.get(task.id).worker_id or ""]

    def claimed(self, task: Task, lease: int) -> Event:
        """The event that says that the attempt under ``lease`` began."""
        found: list[Event] = []

        def look() -> bool:
            events = self.app.tasks.events(task.id)
            found.extend(event for event in events if event.name == "claimed" and event.lease == lease)
            return bool(found)

        until(look, f"lease {lease} was not taken", seconds=_MOST_SECONDS)
        return found[0]

    def kill(self, pid: int) -> None:
        """Kill a worker with all it has started, at once."""
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for worker in self.workers:
            if worker.pid == pid:
                worker.wait()

    def stop(self) -> None:
        """End what is left."""
        for worker in self.workers:
            if worker.poll() is None:
                self.kill(worker.pid)


@contextmanager
def _crew(lease: float, sweep: float) -> Iterator[_Crew]:
    with ExitStack() as stack:
        app = stack.enter_context(fresh(tasks={"lease_seconds": lease, "sweep_seconds": sweep}))
        crew = _Crew(app)
        stack.callback(crew.stop)
        yield crew


def _slot_killed(crew: _Crew) -> float:
    crew.start()
    crew.ready()
    task, pid = crew.running()
    (slot,) = psutil.Process(pid).children()
    return _seconds_until_again(crew, task, slot.kill)


def _one_of_two_killed(crew: _Crew) -> float:
    crew.start()
    crew.start()
    crew.ready()
    task, pid = crew.running()
    return _seconds_until_again(crew, task, lambda: crew.kill(pid))


def _all_killed(crew: _Crew) -> float:
    crew.start()
    crew.ready()
    task, pid = crew.running()

    def replace() -> None:
        crew.kill(pid)
        crew.start()

    return _seconds_until_again(crew, task, replace)


def _seconds_until_again(crew: _Crew, task: Task, strike: Callable[[], object]) -> float:
    killed_at = crew.app.clock.now()
    strike()
    return (crew.claimed(task, 2).at - killed_at) / 1_000_000


_DEATHS: dict[str, Callable[[_Crew], float]] = {
    "a slot": _slot_killed,
    "a worker, another is up": _one_of_two_killed,
    "all workers, then one is started": _all_killed,
}


def run(options: Options) -> Iterator[Table]:
    """Yield the table."""
    rows: list[tuple[Cell, ...]] = []
    with fresh() as plain:
        usual = plain.settings.tasks
    rounds = options.pick(5, 1)
    for lease, sweep, times, bar in ((2.0, 1.0, rounds, 3.0), (usual.lease_seconds, usual.sweep_seconds, 1, 40.0)):
        for death, strike in _DEATHS.items():
            if options.quick and lease > 2.0 and strike is not _slot_killed:
                continue
            took = []
            for _ in range(times):
                with _crew(lease, sweep) as crew:
                    took.append(strike(crew))
            rows.append((death, f"{lease:g} s / {sweep:g} s", *percentiles(took, 50, 100), bar))
    yield Table(
        title="From SIGKILL to the next attempt, s",
        head=("killed", "lease / sweep", "p50", "max", "limit"),
        rows=rows,
        note=(
            f"{rounds} rounds with the short lease, one with the default. A worker is killed with its slots. The death of a "
            "slot is seen by its supervisor at once; that of a supervisor by another worker, when a lease has gone by "
            "without a beat. The last row of each lease includes the start of the new worker."
        ),
    )
