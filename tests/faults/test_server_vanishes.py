"""The database server vanishes without a word, as by a pulled cable: nobody waits for it for ever."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from gristmill.db.database import Database
from gristmill.errors import GristmillError, Unavailable
from tests.support.postgres import own_server
from tests.support.waiting import eventually

ADDRESS = "10.213.7.2"
OWN_ADDRESS = "10.213.7.1"


@dataclass(frozen=True, slots=True)
class Cable:
    """A cable between this machine and one that has only a network of its own."""

    number: int

    @property
    def namespace(self) -> str:
        return f"gristmill-{self.number}"

    @property
    def ends(self) -> tuple[str, str]:
        """Here and there."""
        return f"gmh{self.number}", f"gmt{self.number}"

    def lay(self) -> str | None:
        """Connect both; why it is not possible, if it is not."""
        here, there = self.ends
        within = f"ip netns exec {self.namespace}"
        for command in (
            f"ip netns add {self.namespace}",
            f"ip link add {here} type veth peer name {there}",
            f"ip link set {there} netns {self.namespace}",
            f"ip addr add {OWN_ADDRESS}/24 dev {here}",
            f"ip link set {here} up",
            f"{within} ip addr add {ADDRESS}/24 dev {there}",
            f"{within} ip link set {there} up",
        ):
            try:
                done = subprocess.run(command.split(), check=False, capture_output=True, text=True)
            except FileNotFoundError as error:
                return str(error)
            if done.returncode != 0:
                return done.stderr.strip()
        return None

    def pull(self, *, plug_in: bool = False) -> None:
        """Let nothing pass any more, or again; neither side is told."""
        there = self.ends[1]
        state = "up" if plug_in else "down"
        subprocess.run(["ip", "netns", "exec", self.namespace, "ip", "link", "set", there, state], check=True)

    def remove(self) -> None:
        """Leave nothing behind."""
        subprocess.run(["ip", "link", "del", self.ends[0]], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)


@pytest.fixture
def cable() -> Iterator[Cable]:
    cable = Cable(os.getpid())
    try:
        if reason := cable.lay():
            pytest.skip(f"this user may not lay a cable: {reason}")
        yield cable
    finally:
        cable.remove()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_answer_that_never_comes_is_not_waited_for(cable: Cable, stack: ExitStack) -> None:
    server = stack.enter_context(own_server("-h", ADDRESS, namespace=cable.namespace))
    database = Database(server.url(host=ADDRESS))
    stack.callback(database.close)
    database.migrate()
    caught: list[GristmillError] = []

    def ask(seconds: int) -> None:
        try:
            with database.read() as tx:
                tx.exec_driver_sql(f"SELECT pg_sleep({seconds})")
        except GristmillError as error:
            caught.append(error)

    asking = threading.Thread(target=ask, args=(3600,), daemon=True)
    asking.start()
    eventually(lambda: server.asked("SELECT pg_sleep%"))
    cable.pull()

    # Nothing here would end by itself: not what was asked before, nor what is asked now.
    ask(0)
    asking.join(timeout=45)

    assert not asking.is_alive()
    assert [(type(error), error.code) for error in caught] == [(Unavailable, "database_unreachable")] * 2
    cable.pull(plug_in=True)
    ask(0)
    assert len(caught) == 2
