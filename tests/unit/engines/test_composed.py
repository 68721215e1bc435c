"""Engines made of engines: where tasks go, and what becomes of them when an engine fails."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.engines.bell import Bell
from gristmill.engines.broker import BrokerEngine
from gristmill.engines.composed import Fallback, Ratio, Switch
from gristmill.engines.local import LocalEngine
from gristmill.errors import Unavailable
from gristmill.ids import new_id
from gristmill.tasks.ports import Engine
from tests.contracts.engines import Line
from tests.support.tasks import new_task


class Member:
    """A broker engine with its line in reach."""

    def __init__(self, name: str, bell: Bell) -> None:
        self.line = Line()
        self.line.name = name
        self.engine = BrokerEngine(self.line, bell)

    def fail(self) -> None:
        """The broker goes away, and that is noticed."""
        self.line.fault = Unavailable("broker_unreachable", reason="refused")
        self.engine.look()

    def recover(self) -> None:
        """The broker is back, and that is noticed."""
        self.line.fault = None
        self.engine.look()


@pytest.fixture
def members(tmp_path: Path) -> Iterator[dict[str, Member]]:
    members = {name: Member(name, Bell(tmp_path)) for name in ("celery", "rq")}
    yield members
    for member in members.values():
        member.engine.close()


@pytest.fixture
def local(tmp_path: Path) -> Engine:
    return LocalEngine(Bell(tmp_path))


def test_ratio_gives_each_its_share(members: dict[str, Member]) -> None:
    ratio = Ratio([(members["celery"].engine, 0.2), (members["rq"].engine, 0.8)])

    chosen = Counter(ratio.choose(new_id()) for _ in range(5000))

    assert 800 < chosen["celery"] < 1200
    assert chosen["celery"] + chosen["rq"] == 5000
    assert ratio.name == "rq"


def test_task_keeps_its_engine_while_the_share_of_that_grows(members: dict[str, Member]) -> None:
    celery, rq = members["celery"].engine, members["rq"].engine
    ids = [new_id() for _ in range(500)]
    before = {task_id for task_id in ids if Ratio([(celery, 0.2), (rq, 0.8)]).choose(task_id) == "celery"}

    after = {task_id for task_id in ids if Ratio([(celery, 0.5), (rq, 0.5)]).choose(task_id) == "celery"}

    assert before < after


def test_ratio_tells_each_engine_of_its_own_tasks(members: dict[str, Member]) -> None:
    ratio = Ratio([(member.engine, 0.5) for member in members.values()])
    tasks = [new_task(engine=name) for name in ("celery", "rq", "rq")]

    ratio.dispatch(tasks)

    for member in members.values():
        member.engine.flush()
    assert {name: list(member.line.ids) for name, member in members.items()} == {
        "celery": [tasks[0].id],
        "rq": [tasks[1].id, tasks[2].id],
    }


def test_ratio_is_unwell_when_one_of_its_engines_is(members: dict[str, Member]) -> None:
    ratio = Ratio([(member.engine, 0.5) for member in members.values()])
    before = ratio.health()["ok"]

    members["rq"].fail()

    assert before
    assert (ratio.health()["ok"], ratio.health()["reason"]) == (False, "broker_unreachable")


def test_fallback_accepts_for_the_spare_while_the_broker_is_away(members: dict[str, Member], local: Engine) -> None:
    fallback = Fallback(members["celery"].engine, local)
    chosen = [fallback.choose("a")]
    members["celery"].fail()
    chosen.append(fallback.choose("a"))
    seen = fallback.health()
    members["celery"].recover()
    chosen.append(fallback.choose("a"))

    assert chosen == ["celery", "local", "celery"]
    assert (seen["ok"], seen["falls_back_to"]) == (False, "local")


def test_nothing_is_moved_for_a_moments_absence(members: dict[str, Member], local: Engine) -> None:
    fallback = Fallback(members["celery"].engine, local)

    members["celery"].fail()

    assert set(fallback.homes) == {"celery", "local"}
    assert fallback.choose("a") in fallback.homes


def test_switch_follows_what_is_in_force_and_tells_by_what_each_task_was_given(
    members: dict[str, Member], local: Engine
) -> None:
    current = members["celery"].engine
    everyone = {"local": local, **{name: member.engine for name, member in members.items()}}
    switch = Switch(everyone, lambda: current)
    task = new_task(engine=switch.choose("a"))
    current = members["rq"].engine

    switch.dispatch([task])

    members["celery"].engine.flush()
    assert list(members["celery"].line.ids) == [task.id]
    assert (switch.name, switch.choose("b"), set(switch.homes)) == ("rq", "rq", {"rq"})
