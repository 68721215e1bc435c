"""The suite that holds engines to their contract can fail; and what an engine may get wrong, the rows make good."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gristmill.db.database import Database
from gristmill.engines.bell import Bell
from gristmill.tasks.model import TaskFilter, TaskState
from gristmill.tasks.ports import TaskStore
from tests.contracts import test_engine, test_engine_local
from tests.contracts.engines import ENGINES
from tests.integration.worker.conftest import Mill
from tests.support.broken_engines import BROKEN_ENDS, BROKEN_ENGINES, Mute
from tests.support.clock import TestClock
from tests.support.history import effects_in, prepare_effects, what_broke
from tests.support.rig import Rig, WorkerEnd
from tests.support.tasks import Bench
from tests.support.waiting import eventually

FORGIVABLE = ("Mute", "OneEared", "Misdirected", "Stutterer", "Backwards")

Build = Callable[..., Rig]


@pytest.fixture
def build(tmp_path: Path, task_database: Database, task_store: TaskStore, task_clock: TestClock) -> Build:
    """Puts a rig together from an engine and a worker's end, sound or broken."""

    def make(engine: str = "broker", end: type[WorkerEnd] = WorkerEnd) -> Rig:
        opened, listen = {**ENGINES, **BROKEN_ENGINES}[engine](tmp_path)
        return Rig(engine=opened, listen=listen, end=end, database=task_database, store=task_store, clock=task_clock)

    return make


@pytest.mark.parametrize(
    ("engine", "contract"),
    [
        ("Mute", test_engine.test_task_that_is_dispatched_reaches_a_worker_that_listens),
        ("Mute", test_engine.test_dispatch_delivers_what_it_was_given_and_nothing_else),
        ("Strict", test_engine.test_dispatch_never_raises),
        ("Strict", test_engine.test_task_that_is_submitted_while_nobody_listens_runs_when_somebody_comes),
        ("Misdirected", test_engine.test_dispatch_delivers_what_it_was_given_and_nothing_else),
    ],
)
def test_contract_fails_on_an_engine_that_tells_wrongly(
    build: Build, engine: str, contract: Callable[[Rig], None]
) -> None:
    with pytest.raises((AssertionError, ConnectionError)):
        contract(build(engine))


def test_contract_of_the_bell_fails_on_an_engine_that_wakes_only_one(tmp_path: Path, bench: Bench) -> None:
    engine, _ = BROKEN_ENGINES["OneEared"](tmp_path)
    rig = test_engine_local.BellRig(engine=engine, bell=Bell(tmp_path / "run"), directory=tmp_path / "run")

    with pytest.raises(AssertionError):
        test_engine_local.test_dispatch_wakes_every_listener(rig, bench.add())


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize(
    ("end", "contract"),
    [
        ("Unclaimed", test_engine.test_task_is_held_under_a_lease_while_it_runs),
        ("Unclaimed", test_engine.test_task_that_is_delivered_again_while_it_runs_runs_once),
        ("LeaseDeaf", test_engine.test_worker_whose_task_was_given_to_another_changes_nothing),
    ],
)
def test_contract_fails_on_an_engine_that_runs_wrongly(
    build: Build, engine: str, end: str, contract: Callable[[Rig], None]
) -> None:
    with pytest.raises(AssertionError):
        contract(build(engine, BROKEN_ENDS[end]))


@pytest.mark.parametrize("engine", FORGIVABLE)
def test_rows_make_good_what_an_engine_may_get_wrong(build: Build, engine: str) -> None:
    rig = build(engine)
    with rig.worker("a") as first, rig.worker("b") as second:
        tasks = [rig.tasks.submit("ping", {}) for _ in range(12)]
        rig.tasks.cancel_one(tasks[5].id)
        test_engine.work_until_quiet(first, second)
        rig.sweeper.sweep()
        for worker in (first, second):
            worker.work(unasked=True)

    assert rig.store.counts(TaskFilter()) == {TaskState.COMPLETED: 11, TaskState.CANCELLED: 1}
    assert rig.broken(tasks) == []


def test_real_worker_finds_what_nobody_tells_it_of(mill: Mill) -> None:
    prepare_effects(mill.app.database)
    # Where the cached property keeps its value.
    mill.app.__dict__["engine"] = Mute(mill.app.bell)
    mill.start()
    eventually(lambda: len(mill.app.store.workers()) == 1)

    tasks = [mill.submit("counted") for _ in range(5)]

    ended = [mill.ended(task) for task in tasks]
    assert {task.state for task in ended} == {TaskState.COMPLETED}
    assert what_broke(mill.app.store, [task.id for task in tasks], effects=effects_in(mill.app.database)) == []


def test_real_worker_is_told_in_vain_of_what_is_not_there(mill: Mill) -> None:
    prepare_effects(mill.app.database)
    mill.start()
    for _ in range(50):
        mill.app.engine.dispatch([])
        mill.app.engine.revoke(["nobody"])

    tasks = [mill.submit("counted") for _ in range(5)]
    mill.app.engine.dispatch(tasks * 5)

    assert {mill.ended(task).attempt for task in tasks} == {1}
    assert what_broke(mill.app.store, [task.id for task in tasks], effects=effects_in(mill.app.database)) == []
