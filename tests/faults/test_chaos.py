"""A while of everything at once: kills, pauses and restarts at random, and not one promise broken.

Runs for ``GRISTMILL_CHAOS_SECONDS`` (20 by default) with ``GRISTMILL_CHAOS_SEED``, which is printed when it fails.
"""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from gristmill.tasks.model import Task, TaskFilter, TaskState
from tests.integration.worker.conftest import Mill
from tests.support.history import effects_in, prepare_effects, what_broke
from tests.support.waiting import eventually

SECONDS = float(os.environ.get("GRISTMILL_CHAOS_SECONDS", "20"))
SEED = int(os.environ.get("GRISTMILL_CHAOS_SEED", str(random.SystemRandom().randrange(10**9))))
CALM_SECONDS = 60
WORKERS = 2
PLACES = ("", "", "after_claim:kill@9", "before_finish:kill@9", "after_finish:kill@9", "mid_sweep:kill@40")


def resume(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()


class Chaos:
    """One adversary with a seed."""

    def __init__(self, mill: Mill, source: random.Random) -> None:
        self.mill = mill
        self.source = source
        self.tasks: list[Task] = []
        self.cancelled: set[str] = set()
        self.pauses: list[threading.Timer] = []
        self.deeds: Counter[str] = Counter()

    def submit(self) -> None:
        self.tasks += [self.mill.submit("counted") for _ in range(self.source.randrange(1, 12))]

    def cancel(self) -> None:
        if self.tasks:
            task = self.source.choice(self.tasks[-40:])
            self.mill.app.tasks.cancel_one(task.id)
            self.cancelled.add(task.id)

    def _alive(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for worker in self.mill.workers:
            if worker.poll() is None:
                found += self.mill.tree(worker)
        return found

    def kill_one(self) -> None:
        """A slot or a supervisor, whichever comes."""
        if alive := self._alive():
            with suppress(psutil.NoSuchProcess):
                self.source.choice(alive).kill()

    def pause_one(self) -> None:
        """For less than a lease, or for more."""
        if alive := self._alive():
            process = self.source.choice(alive)
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                # From a thread: it may hold the database's only write lock, which everything below waits for.
                self.pauses.append(threading.Timer(self.source.uniform(0.1, 3.0), resume, (process,)))
                self.pauses[-1].start()

    def terminate_one(self) -> None:
        running = [worker for worker in self.mill.workers if worker.poll() is None]
        if running:
            self.source.choice(running).send_signal(signal.SIGTERM)

    def replenish(self) -> None:
        if sum(worker.poll() is None for worker in self.mill.workers) < WORKERS:
            self.mill.start(concurrency=2, failpoint=self.source.choice(PLACES))

    def go_on(self) -> None:
        deeds: list[tuple[Callable[[], None], int]] = [
            (self.submit, 8),
            (self.cancel, 3),
            (self.kill_one, 2),
            (self.pause_one, 1),
            (self.terminate_one, 1),
            (self.replenish, 4),
        ]
        deed = self.source.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])[0]
        deed()
        self.deeds[deed.__name__] += 1
        time.sleep(self.source.uniform(0.01, 0.15))

    def end(self) -> None:
        """Let everybody go on, and give what is left to a worker that nothing happens to."""
        for pause in self.pauses:
            pause.join()
        self.mill.start(concurrency=2)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + CALM_SECONDS + 60)
def test_no_promise_is_broken_whatever_happens(make_mill: Callable[..., Mill]) -> None:
    sys.stderr.write(f"GRISTMILL_CHAOS_SEED={SEED}\n")
    mill = make_mill(tasks={"lease_seconds": 1.0})
    prepare_effects(mill.app.database)
    chaos = Chaos(mill, random.Random(SEED))
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        chaos.go_on()
    chaos.end()

    ids = [task.id for task in chaos.tasks]
    eventually(lambda: set(mill.app.store.counts(TaskFilter())) <= FINAL, CALM_SECONDS)

    assert what_broke(mill.app.store, ids, effects=effects_in(mill.app.database)) == [], f"seed {SEED}"
    tasks = mill.app.store.get_many(ids)
    # A crash may park a task that nobody meant; more than a few would mean that the innocent pay.
    failed = [task for task in tasks if task.state is TaskState.FAILED]
    assert {task.error.code for task in failed if task.error} <= {"task_parked"}
    assert {task.id for task in tasks if task.state is TaskState.CANCELLED} <= chaos.cancelled
    assert len(ids) > SECONDS, chaos.deeds


FINAL = {TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED}
