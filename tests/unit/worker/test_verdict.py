import socket
from typing import Any

import pytest

from gristmill.tasks.model import Cancelled, Lost, Released
from gristmill.worker.channel import Channel
from gristmill.worker.supervisor import _Running, _Verdict
from tests.support.tasks import Bench


def running(task_id: str, lease: int) -> _Running:
    return _Running(task_id=task_id, lease=lease, hard_limit_seconds=1.0, hard_at=1.0)


def test_verdict_is_for_the_attempt_that_was_meant(bench: Bench) -> None:
    task = bench.started()

    assert _Verdict(Cancelled(), running(task.id, task.lease)).on(task) == Cancelled()


@pytest.mark.parametrize(("task_id", "lease"), [("another", 1), (None, 2)])
def test_verdict_releases_what_the_slot_had_gone_on_to(bench: Bench, task_id: str | None, lease: int) -> None:
    task = bench.started()

    outcome = _Verdict(Cancelled(), running(task_id or task.id, lease)).on(task)

    assert isinstance(outcome, Released)


def test_verdict_of_a_death_is_for_whatever_was_held(bench: Bench) -> None:
    assert _Verdict(Lost(reason="killed by SIGKILL")).on(bench.started()) == Lost(reason="killed by SIGKILL")


@pytest.fixture
def ends() -> Any:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), Channel(theirs), theirs


def test_channel_brings_messages_in_order_and_whole(ends: Any) -> None:
    ours, theirs, raw = ends
    raw.sendall(b'{"a": 1}\n{"b": "')
    first = ours.receive()
    raw.sendall('文"}\n'.encode())

    assert (first, ours.receive()) == ([{"a": 1}], [{"b": "文"}])
    ours.send(order="wake", size=1)
    assert theirs.receive() == [{"order": "wake", "size": 1}]


def test_channel_notices_the_end_and_does_not_raise(ends: Any) -> None:
    ours, theirs, _ = ends
    theirs.close()

    assert ours.receive() == []
    assert ours.closed
    ours.send(order="wake")


def test_channel_takes_one_that_never_reads_for_gone(ends: Any) -> None:
    ours, _, _ = ends
    ours._socket.settimeout(0.01)

    for _ in range(100_000):
        ours.send(order="wake")
        if ours.closed:
            break

    assert ours.closed
