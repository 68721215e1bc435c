"""What the local engine does beyond the contract: a bell for all workers of a machine, whatever lies in its way."""

import os
import select
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gristmill.engines.bell import Bell, Listener
from gristmill.engines.local import LocalEngine
from gristmill.tasks.model import Task
from gristmill.tasks.ports import Engine
from tests.support.tasks import Bench


@dataclass
class BellRig:
    """The engine, and a way to stand at its other end."""

    engine: Engine
    bell: Bell
    directory: Path

    @contextmanager
    def listening(self, name: str = "worker") -> Iterator[Listener]:
        """A worker's ears."""
        listener = self.bell.listen(name)
        try:
            yield listener
        finally:
            listener.close()


@pytest.fixture
def rig(tmp_path: Path) -> BellRig:
    directory = tmp_path / "run"
    bell = Bell(directory)
    return BellRig(engine=LocalEngine(bell), bell=bell, directory=directory)


@pytest.fixture
def task(bench: Bench) -> Task:
    return bench.add()


def woken(listener: Listener) -> bool:
    return bool(select.select([listener], [], [], 0)[0])


def test_dispatch_wakes_a_listener_once(rig: BellRig, task: Task) -> None:
    with rig.listening() as listener:
        before = woken(listener)
        rig.engine.dispatch([task])

        assert (before, woken(listener)) == (False, True)
        listener.clear()
        assert not woken(listener)


def test_dispatch_wakes_every_listener(rig: BellRig, task: Task) -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(rig.listening(f"worker-{number}")) for number in range(5)]

        rig.engine.dispatch([task])

        assert all(woken(listener) for listener in listeners)


def test_dispatch_may_be_repeated(rig: BellRig, task: Task) -> None:
    with rig.listening() as listener:
        rig.engine.dispatch([task])
        rig.engine.dispatch([task, task])

        listener.clear()
        assert not woken(listener)


def test_revoke_wakes_a_listener(rig: BellRig, task: Task) -> None:
    with rig.listening() as listener:
        rig.engine.revoke([task.id])

        assert woken(listener)


def test_dispatch_reaches_nobody_without_harm_when_no_worker_ever_ran(rig: BellRig, task: Task) -> None:
    rig.engine.dispatch([task])

    assert not rig.directory.exists()


def test_dispatch_passes_over_what_a_dead_listener_left(rig: BellRig, task: Task) -> None:
    rig.directory.mkdir()
    os.mkfifo(rig.directory / "dead.bell")

    with rig.listening() as listener:
        rig.engine.dispatch([task])

        assert woken(listener)


def test_dispatch_passes_over_a_pipe_it_may_not_open(rig: BellRig, task: Task) -> None:
    rig.directory.mkdir()
    (rig.directory / "folder.bell").mkdir()

    with rig.listening() as listener:
        rig.engine.dispatch([task])

        assert woken(listener)


def test_dispatch_does_not_wait_when_a_listener_never_reads(rig: BellRig, task: Task) -> None:
    with rig.listening() as listener:
        filler = os.open(next(rig.directory.glob("*.bell")), os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while True:
                os.write(filler, b"!" * 4096)
        os.close(filler)

        rig.engine.dispatch([task])

        assert woken(listener)
        listener.clear()
        assert not woken(listener)


def test_dispatch_does_no_harm_when_the_directory_is_no_directory(rig: BellRig, task: Task) -> None:
    rig.directory.write_text("in the way")

    rig.engine.dispatch([task])
    rig.engine.revoke([task.id])

    assert rig.engine.health()["ok"] in (True, False)


def test_listener_leaves_nothing_behind(rig: BellRig) -> None:
    with rig.listening():
        assert len(list(rig.directory.iterdir())) == 1

    assert list(rig.directory.iterdir()) == []


def test_listener_takes_over_a_name_that_a_dead_one_left(rig: BellRig, task: Task) -> None:
    rig.directory.mkdir()
    os.mkfifo(rig.directory / "worker.bell")

    with rig.listening("worker") as listener:
        rig.engine.dispatch([task])

        assert woken(listener)
