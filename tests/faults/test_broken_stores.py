"""The suites that hold stores to their contract can fail: each finds the defect that is made for it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from gristmill.db.database import Database
from gristmill.tasks.model import Completed, Lost, Retried, Task
from gristmill.tasks.ports import TaskStore
from tests.contracts import (
    test_task_store_cancel,
    test_task_store_claim,
    test_task_store_finish,
    test_task_store_halts,
    test_task_store_histories,
    test_task_store_lifecycle,
)
from tests.support.broken import BROKEN_STORES, open_broken
from tests.support.clock import TestClock
from tests.support.history import effect_of, effects_in, prepare_effects, what_broke
from tests.support.tasks import ERROR, Bench, new_task, new_worker


@pytest.fixture
def broken(request: pytest.FixtureRequest, task_database: Database, task_clock: TestClock) -> Bench:
    """A bench on a store with the defect that the test names."""
    return Bench(open_broken(request.param, task_database, task_clock))


CAUGHT_BY: list[tuple[str, Callable[[Bench], object]]] = [
    ("UnguardedClaim", test_task_store_claim.test_claim_gives_each_task_to_one_when_threads_compete),
    ("UnguardedClaim", test_task_store_claim.test_claim_gives_nothing_to_a_worker_that_is_not_registered),
    ("SilentEnd", test_task_store_finish.test_lost_runs_again_at_once_and_is_parked_at_the_limit),
    ("LeaseIgnored", test_task_store_finish.test_effect_is_not_called_when_the_lease_is_stale),
    (
        "LeaseIgnored",
        lambda bench: test_task_store_lifecycle.test_store_refuses_a_write_when_the_lease_is_not_the_current_one(
            bench, "finish_completed", -1
        ),
    ),
    ("LeaseReused", test_task_store_finish.test_released_counts_no_attempt_however_often),
    ("EffectApart", test_task_store_finish.test_effect_is_not_called_when_the_lease_is_stale),
    (
        "EffectApart",
        test_task_store_finish.test_effect_answer_joins_the_result_and_may_be_none,
    ),
    ("CancelForgotten", test_task_store_cancel.test_held_tells_apart_who_was_asked_to_stop),
    ("CancelSwallowed", test_task_store_cancel.test_held_tells_apart_who_was_asked_to_stop),
    ("HaltsIgnored", test_task_store_halts.test_parent_resumes_at_once_and_once_when_nothing_runs),
]


def test_contract_is_tried_on_every_broken_store() -> None:
    assert {name for name, _ in CAUGHT_BY} == set(BROKEN_STORES)


@pytest.mark.parametrize(("broken", "contract"), CAUGHT_BY, indirect=["broken"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_contract_fails_on_a_store_with_a_defect(broken: Bench, contract: Callable[[Bench], object]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        contract(broken)


@pytest.mark.parametrize("name", ["SilentEnd", "LeaseReused"])
def test_random_histories_fail_on_a_store_with_a_defect(name: str) -> None:
    class Histories(test_task_store_histories.Histories):
        @staticmethod
        def open(folder: Path, clock: TestClock) -> tuple[TaskStore, Callable[[], None]]:
            database = Database(f"sqlite:///{folder / 'tasks.db'}")
            database.migrate()
            return open_broken(name, database, clock), database.close

    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=200,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )


def _twice_claimed(bench: Bench, database: Database) -> list[str]:
    tasks = bench.store.add([new_task() for _ in range(30)])
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        while claimed := bench.claim(limit=2):
            for task in claimed:
                bench.store.finish(task.id, task.lease, _effect(task))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [task.id for task in tasks]


def _stale(bench: Bench, database: Database) -> list[str]:
    task = bench.started()
    bench.end(task, Retried(error=ERROR, delay_seconds=0))
    again = bench.take(task.id)
    bench.store.finish(task.id, task.lease, _effect(task))
    bench.store.finish(task.id, again.lease, _effect(again))
    bench.store.register_worker(new_worker("another"))
    if bench.get(task).state.value == "pending":
        last = bench.take(task.id, worker="another")
        bench.store.finish(task.id, last.lease, _effect(last))
    return [task.id]


def _effect(task: Task) -> Completed:
    return Completed(effect=effect_of(task))


def _cancelled(bench: Bench, database: Database) -> list[str]:
    lost, waiting, running = bench.started(), bench.add(), bench.started()
    bench.cancel(lost.id, waiting.id, running.id)
    bench.end(lost, Lost(reason="killed by SIGKILL"))
    bench.end(running, _effect(running))
    while again := bench.claim():
        bench.store.finish(again[0].id, again[0].lease, _effect(again[0]))
    return [lost.id, waiting.id, running.id]


@pytest.mark.parametrize(
    ("broken", "scenario"),
    [
        ("UnguardedClaim", _twice_claimed),
        ("SilentEnd", _stale),
        ("LeaseReused", _stale),
        ("EffectApart", _stale),
        ("CancelForgotten", _cancelled),
        ("CancelSwallowed", _cancelled),
    ],
    indirect=["broken"],
)
def test_checker_finds_what_a_store_with_a_defect_did(
    broken: Bench, task_database: Database, scenario: Callable[[Bench, Database], list[str]]
) -> None:
    prepare_effects(task_database)

    accepted = scenario(broken, task_database)

    effects = effects_in(task_database)
    assert what_broke(broken.store, accepted, effects=effects, cancels=_told(accepted, scenario)) != []


def _told(accepted: list[str], scenario: object) -> list[str]:
    """Those tasks whose owners were told that they will stop."""
    return accepted if scenario is _cancelled else []


@pytest.mark.parametrize("scenario", [_twice_claimed, _stale, _cancelled])
def test_checker_finds_nothing_in_what_the_real_store_did(
    bench: Bench, task_database: Database, scenario: Callable[[Bench, Database], list[str]]
) -> None:
    prepare_effects(task_database)

    accepted = scenario(bench, task_database)

    effects = effects_in(task_database)
    assert what_broke(bench.store, accepted, effects=effects, cancels=_told(accepted, scenario)) == []
