"""A while of everything at once: kills, pauses and restarts at random, and not one promise broken.

On each engine and database, for ``GRISTMILL_CHAOS_SECONDS`` (10 by default, 24 where ``CI`` is set) with
``GRISTMILL_CHAOS_SEED``, which is printed when it fails. The seed decides what is tried, in which order; what it meets is
up to the machine.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gristmill.errors import Unavailable
from gristmill.tasks.model import TaskFilter, TaskState
from tests.integration.worker.conftest import Mill
from tests.support.chaos import Chaos
from tests.support.customers import Customer, Orders
from tests.support.history import all_events, effects_in, prepare_effects, what_broke
from tests.support.moods import FATAL_CODES
from tests.support.pairs import every_pair
from tests.support.postgres import own_server
from tests.support.valkey import own_server as own_broker
from tests.support.waiting import eventually

SECONDS = float(os.environ.get("GRISTMILL_CHAOS_SECONDS") or ("24" if os.environ.get("CI") else "10"))
SEED = int(os.environ.get("GRISTMILL_CHAOS_SEED") or random.SystemRandom().randrange(10**9))
CALM_SECONDS = 90
CUSTOMERS = 3
BACKLOG = 60
"""What waits at most when the storm is over, so that the calm does not last longer than the storm."""
FINAL = {state for state in TaskState if state.is_final}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closed when nothing needs it any more."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS + CALM_SECONDS + 120)
@every_pair
def test_no_promise_is_broken_whatever_happens(
    make_mill: Callable[..., Mill], engine: str, make_of_database: str, stack: ExitStack, tmp_path: Path
) -> None:
    sys.stderr.write(f"GRISTMILL_CHAOS_SEED={SEED}\n")
    server = stack.enter_context(own_server()) if make_of_database == "postgres" else None
    broker = None if engine == "local" else stack.enter_context(own_broker(tmp_path / "valkey"))
    mill = make_mill(
        tasks={"lease_seconds": 1.0},
        database={} if server is None else {"url": server.url()},
        redis={} if broker is None else {"url": broker.url()},
        engine={"name": engine},
    )
    prepare_effects(mill.app.database)
    store = mill.app.store
    chaos, orders = Chaos(mill, random.Random(SEED), server, broker), Orders()

    def is_enough() -> bool:
        try:
            return store.counts(TaskFilter(states=[TaskState.PENDING])).get(TaskState.PENDING, 0) > BACKLOG
        except Unavailable:
            return False

    customers = [
        Customer(f"{name}", f"{SEED}/{name}", orders, address=chaos.address, is_enough=is_enough)
        for name in range(CUSTOMERS)
    ]
    try:
        chaos.start()
        for customer in customers:
            customer.start()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            chaos.go_on()
    finally:
        for customer in customers:
            customer.enough.set()
        for customer in customers:
            if customer.ident is not None:
                customer.join()
        chaos.close()
    chaos.end()

    eventually(lambda: set(store.counts(TaskFilter())) <= FINAL, CALM_SECONDS)

    # What was answered, and what was written by those who died before they could answer, and all their children.
    tasks = {task.id: task for task in store.find(TaskFilter(), limit=1_000_000)}
    ids = {*orders.accepted.values(), *tasks}
    seed = f"seed {SEED}, {dict(chaos.deeds)}, {dict(orders.answers)}, {dict(store.counts(TaskFilter()))}"
    sys.stderr.write(f"{seed}\n")
    assert what_broke(store, ids, effects=effects_in(mill.app.database), cancels=orders.cancels) == [], seed
    assert orders.surprises == [], seed
    keys = [task.idempotency_key for task in tasks.values() if task.idempotency_key]
    assert len(keys) == len(set(keys)), seed
    failed = [task for task in tasks.values() if task.state is TaskState.FAILED]
    assert {task.error.code for task in failed if task.error} <= FATAL_CODES, seed
    # One that behaves fails for nothing but the deaths of those who ran it, three of them.
    innocent = [task for task in failed if task.payload == {"moods": []}]
    assert {(task.error and task.error.code, task.crash_count) for task in innocent} <= {("task_parked", 3)}, seed
    stopped = {task.id for task in tasks.values() if task.state is TaskState.CANCELLED}
    assert {task_id for task_id in stopped if (tasks[task_id].parent_id or task_id) not in orders.asked} == set(), seed
    # Those that it meant to hurt it did hurt.
    happened = {event.name for event in all_events(store)}
    assert "completed" in happened, seed
    assert {"worker_lost", "released"} & happened, seed
    assert len(orders.accepted) > SECONDS / 2, seed
    mill.app.sweeper.sweep()
    assert list(mill.app.paths.temp.iterdir()) == [], seed
    if server is None:
        with mill.app.database.read() as transaction:
            assert transaction.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok", seed
