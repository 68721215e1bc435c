from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gristmill.errors import Unavailable
from gristmill.tasks.model import Completed, Released, Retried, TaskState
from gristmill.tasks.ports import Ready
from gristmill.tasks.sweeper import Duty, Sweeper, WorkerWatch
from tests.support.clock import TestClock
from tests.support.flaky import FlakyStore
from tests.support.tasks import ERROR, WORKER, Bench, new_worker

LEASE = 30.0


class NotedEngine:
    """An engine that notes what it was told."""

    name = "local"

    homes = ("local",)

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    def choose(self, task_id: str) -> str:
        del task_id
        return self.name

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        self.told.append([task.id for task in tasks])

    def revoke(self, task_ids: Sequence[str]) -> None:
        pass

    def health(self) -> Mapping[str, Any]:
        return {"ok": True, "reason": None}

    def close(self) -> None:
        pass


def sweeper(bench: Bench, clock: TestClock, engine: NotedEngine | None = None, *extra: Duty) -> Sweeper:
    return Sweeper(
        bench.store,
        engine or NotedEngine(),
        clock,
        engines=("local", "celery", "rq"),
        lease_seconds=LEASE,
        history_seconds=60,
        extra=extra,
    )


def test_watch_calls_a_worker_dead_after_a_lease_without_a_beat(clock: TestClock) -> None:
    watch, worker = WorkerWatch(clock, lease_seconds=LEASE), new_worker(beat=1)

    seen = []
    for _ in range(4):
        seen.append(watch.dead([worker]))
        clock.pass_time(10)

    assert seen == [[], [], [], [worker]]


def test_watch_spares_a_worker_that_beats(clock: TestClock) -> None:
    watch, worker = WorkerWatch(clock, lease_seconds=LEASE), new_worker(beat=1)

    for beat in range(10):
        assert watch.dead([replace(worker, beat=beat)]) == []
        clock.pass_time(LEASE - 1)


@pytest.mark.parametrize("jump", [3600, -3600, 10 * 365 * 24 * 3600])
def test_watch_is_not_moved_by_a_jump_of_the_wall_clock(clock: TestClock, jump: float) -> None:
    watch, worker = WorkerWatch(clock, lease_seconds=LEASE), new_worker(beat=1)
    watch.dead([worker])
    clock.pass_time(LEASE - 1)

    clock.jump(jump)

    assert watch.dead([worker]) == []
    clock.pass_time(1)
    assert watch.dead([worker]) == [worker]


def test_watch_does_not_compare_clocks_of_two_machines(clock: TestClock) -> None:
    watch = WorkerWatch(clock, lease_seconds=LEASE)
    skewed = new_worker(beat=1, beat_at=clock.now() - 3_600_000_000, started_at=0)

    assert watch.dead([skewed]) == []


def test_watch_starts_afresh_with_a_worker_that_was_away(clock: TestClock) -> None:
    watch, worker = WorkerWatch(clock, lease_seconds=LEASE), new_worker(beat=1)
    watch.dead([worker])
    watch.dead([])
    clock.pass_time(LEASE)

    assert watch.dead([worker]) == []


def test_sweep_returns_what_a_dead_worker_held_and_rings_for_it(bench: Bench, clock: TestClock) -> None:
    engine = NotedEngine()
    task, sweeping = bench.started(), sweeper(bench, clock, engine)
    first = sweeping.sweep()
    clock.pass_time(LEASE)

    done = sweeping.sweep()

    assert (first, done) == ({}, {"workers.expired": 1})
    assert (bench.get(task).state, bench.get(task).crash_count) == (TaskState.PENDING, 1)
    assert engine.told == [[task.id]]
    assert bench.store.workers() == []
    assert bench.events(task)[-1].detail["reason"] == "heartbeat stopped"


def test_sweep_spares_a_worker_that_cannot_beat_because_nobody_can_write(bench: Bench, clock: TestClock) -> None:
    task = bench.started()
    store: Any = FlakyStore(bench.store, "heartbeat", Unavailable("database_busy"), times=1)
    sweeping = Sweeper(store, NotedEngine(), clock, engines=(), lease_seconds=LEASE, history_seconds=60)
    sweeping.sweep()
    clock.pass_time(LEASE)

    assert sweeping.sweep() == {}

    # From then on it has a whole lease again to say that it lives.
    sweeping.sweep()
    clock.pass_time(LEASE - 1)
    assert sweeping.sweep() == {}
    assert bench.get(task).state is TaskState.PROCESSING
    clock.pass_time(1)
    assert sweeping.sweep() == {"workers.expired": 1}


def test_sweep_spares_a_worker_that_could_not_beat_while_the_database_was_away(bench: Bench, clock: TestClock) -> None:
    bench.started()
    store: Any = FlakyStore(bench.store, "workers", Unavailable("database_unreachable"), times=0)
    sweeping = Sweeper(store, NotedEngine(), clock, engines=(), lease_seconds=LEASE, history_seconds=60)
    sweeping.sweep()
    clock.pass_time(LEASE / 2)
    store.left = 1
    sweeping.sweep()
    clock.pass_time(LEASE / 2)

    assert sweeping.sweep() == {}

    # From then on it has a whole lease again to say that it lives.
    clock.pass_time(LEASE - 1)
    assert sweeping.sweep() == {}
    clock.pass_time(1)
    assert sweeping.sweep() == {"workers.expired": 1}


def test_sweep_spares_a_worker_that_waits_for_the_same_lock_as_the_sweep(bench: Bench, clock: TestClock) -> None:
    class Locked(FlakyStore):
        def heartbeat(self, worker_id: str) -> bool:
            clock.pass_time(LEASE / 2)
            return bench.store.heartbeat(worker_id)

    bench.started()
    store: Any = Locked(bench.store, "", Unavailable("database_busy"), times=0)
    sweeping = Sweeper(store, NotedEngine(), clock, engines=(), lease_seconds=LEASE, history_seconds=60)
    sweeping.sweep()
    clock.pass_time(LEASE)

    assert sweeping.sweep() == {}


@pytest.mark.parametrize("jump", [3600, -3600])
def test_sweep_spares_a_beating_worker_when_the_wall_clock_jumps(bench: Bench, clock: TestClock, jump: float) -> None:
    task, sweeping = bench.started(), sweeper(bench, clock)
    for _ in range(5):
        sweeping.sweep()
        bench.store.heartbeat(WORKER)
        clock.pass_time(10)
        clock.jump(jump)

    assert bench.get(task) == task


def test_sweep_of_two_sweepers_expires_a_worker_once(bench: Bench, clock: TestClock) -> None:
    task, sweepers = bench.started(), [sweeper(bench, clock), sweeper(bench, clock)]
    for sweeping in sweepers:
        sweeping.sweep()
    clock.pass_time(LEASE)

    for sweeping in sweepers:
        sweeping.sweep()

    assert bench.history(task).count("worker_lost") == 1


def test_sweep_promotes_what_is_due_and_rings(bench: Bench, clock: TestClock) -> None:
    engine = NotedEngine()
    bench.add(scheduled_at=clock.now() + 1_000_000)
    sweeping = sweeper(bench, clock, engine)
    sweeping.sweep()
    clock.pass_time(1)

    assert sweeping.sweep() == {"tasks.promoted": 1}
    assert engine.told == [[]]
    assert len(bench.claim()) == 1


def test_sweep_moves_what_waits_for_an_engine_that_runs_nothing(bench: Bench, clock: TestClock) -> None:
    engine = NotedEngine()
    stranded, later = bench.add(engine="rq"), bench.add(engine="celery", scheduled_at=clock.now() + 1)
    home = bench.add(engine="local")
    sweeping = sweeper(bench, clock, engine)

    assert sweeping.sweep() == {"tasks.reassigned": 2}
    assert sweeping.sweep() == {}
    assert [bench.get(task).engine for task in (stranded, later, home)] == ["local"] * 3
    assert sorted(task_id for told in engine.told for task_id in told) == sorted([stranded.id, later.id])


def test_sweep_does_its_other_duties_when_one_fails(bench: Bench, clock: TestClock) -> None:
    def fail() -> int:
        raise Unavailable("database_busy")

    sweeping = sweeper(bench, clock, None, Duty("first", fail), Duty("second", lambda: 2))

    assert sweeping.sweep() == {"second": 2}


def test_sweep_forgets_history_and_expired_items(bench: Bench, clock: TestClock) -> None:
    task, sweeping = bench.ended(Completed(items=[{"n": 1}])), sweeper(bench, clock)
    clock.pass_time(60)
    bench.store.heartbeat(WORKER)
    kept = sweeping.sweep()
    clock.pass_time(1)

    assert kept == {}
    assert sweeping.sweep() == {"history.purged": 1}
    assert bench.store.get_many([task.id]) == []


def test_sweep_leaves_alone_what_nobody_holds(bench: Bench, clock: TestClock) -> None:
    parent, (child,) = bench.waiting(1)
    retried = bench.ended(Retried(error=ERROR, delay_seconds=999))
    released = bench.ended(Released(reason="x"), priority=9)
    sweeping = sweeper(bench, clock)
    sweeping.sweep()
    clock.pass_time(LEASE)

    sweeping.sweep()

    assert [bench.get(task) for task in (parent, child, retried, released)] == [parent, child, retried, released]


def test_worker_watch_draws_no_conclusion_from_a_time_it_did_not_look(clock: TestClock) -> None:
    watch = WorkerWatch(clock, lease_seconds=LEASE)
    worker = new_worker()
    watch.dead([worker])

    clock.pass_time(10 * LEASE)

    assert watch.dead([worker]) == []
    clock.pass_time(LEASE)
    assert watch.dead([worker]) == [worker]
