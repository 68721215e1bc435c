"""The outbox: submitting never waits for a broker, whatever that one does."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gristmill.engines.bell import Bell
from gristmill.engines.broker import BrokerEngine
from gristmill.errors import Unavailable
from gristmill.tasks.ports import Ready
from tests.contracts.engines import Line
from tests.support.tasks import new_task
from tests.support.waiting import eventually


class Stuck(Line):
    """A broker that keeps whoever writes to it waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.reached = threading.Event()

    def publish(self, tasks: Sequence[Ready]) -> None:
        self.reached.set()
        self.go_on.wait(30)
        super().publish(tasks)


class Defective(Line):
    """A broker whose driver raises what it never should."""

    def publish(self, tasks: Sequence[Ready]) -> None:
        del tasks
        raise AttributeError("no such thing")


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def engine(line: Line, tmp_path: Path) -> Iterator[BrokerEngine]:
    engine = BrokerEngine(line, Bell(tmp_path))
    yield engine
    engine.close()


def test_messages_arrive_in_the_order_they_were_told(engine: BrokerEngine, line: Line) -> None:
    tasks = [new_task() for _ in range(1200)]
    for start in range(0, 1200, 100):
        engine.dispatch(tasks[start : start + 100])
    engine.flush()

    assert list(line.ids) == [task.id for task in tasks]


def test_dispatch_returns_while_the_broker_keeps_its_writer_waiting(tmp_path: Path) -> None:
    stuck = Stuck()
    engine = BrokerEngine(stuck, Bell(tmp_path))
    tasks = [new_task() for _ in range(3)]
    engine.dispatch(tasks[:1])
    assert stuck.reached.wait(10)

    engine.dispatch(tasks[1:])
    waiting = engine.health()["outbox"]
    stuck.go_on.set()
    engine.flush()

    assert waiting == 2
    assert list(stuck.ids) == [task.id for task in tasks]
    engine.close()


def test_what_cannot_be_told_is_dropped_and_health_says_why(engine: BrokerEngine, line: Line) -> None:
    line.fault = Unavailable("broker_full", reason="OOM")
    engine.dispatch([new_task()])
    engine.flush()
    eventually(lambda: not engine.health()["ok"])

    line.fault = None
    later = new_task()
    eventually(lambda: engine.look()["ok"])
    engine.dispatch([later])
    engine.flush()

    assert list(line.ids) == [later.id]


def test_broker_that_is_back_is_noticed_without_being_asked(engine: BrokerEngine, line: Line) -> None:
    line.fault = Unavailable("broker_unreachable", reason="refused")
    assert engine.look()["reason"] == "broker_unreachable"

    line.fault = None

    eventually(lambda: engine.health()["ok"])


def test_outbox_survives_a_defect_of_the_driver(tmp_path: Path) -> None:
    engine = BrokerEngine(Defective(), Bell(tmp_path))
    engine.dispatch([new_task()])
    eventually(lambda: not engine.health()["ok"])

    assert engine.health()["facts"] == {"engine": "line", "reason": "AttributeError"}
    assert engine.look()["ok"], "its sign of life is sound"
    engine.close()


def test_engine_that_was_closed_can_be_told_again(engine: BrokerEngine, line: Line) -> None:
    first, second = new_task(), new_task()
    engine.dispatch([first])
    engine.close()
    engine.dispatch([second])
    engine.flush()

    assert list(line.ids) == [first.id, second.id]
