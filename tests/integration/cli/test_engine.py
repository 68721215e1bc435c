"""Engines from the command line: a broker of our own, the right workers, and changes while everything runs."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.integration.cli.terminal import Terminal
from tests.support.valkey import fresh_broker
from tests.support.waiting import eventually


@pytest.fixture
def machine(terminal: Terminal) -> Iterator[Terminal]:
    """A terminal that names a Redis of its own, which nobody has started."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    machine = replace(terminal, extra={"GRISTMILL_REDIS__URL": f"redis://:s3cret@127.0.0.1:{port}/0"})
    yield machine
    machine.run("down", "--now")
    for process in machine.processes():
        with contextlib.suppress(psutil.Error):
            process.kill()


def running(machine: Terminal) -> dict[str, str]:
    return {process["name"]: process["state"] for process in machine.run("status", "--json").json["processes"]}


def test_up_starts_a_broker_and_a_worker_of_its_engine(machine: Terminal, library: Callable[[int], Path]) -> None:
    machine.json("up", "--port", "0", "--redis")
    eventually(lambda: machine.json("status")["workers"], seconds=30)

    indexed = machine.run("index", library(3))
    shown = machine.json("engine", "show")

    assert "Indexed 3 documents" in indexed.out
    assert running(machine) == {"api": "running", "worker-celery": "running", "redis": "running"}
    assert shown["name"] == "celery"
    assert shown["engines"]["celery"]["ok"]
    assert {task["engine"] for task in machine.json("tasks", "list")["tasks"]} == {"celery"}

    machine.run("down")

    assert machine.processes() == []


def test_up_starts_a_broker_again_that_died(machine: Terminal) -> None:
    up = machine.json("up", "--port", "0", "--redis")
    (broker,) = (psutil.Process(process["pid"]) for process in up["processes"] if process["name"] == "redis")
    broker.kill()
    broker.wait(10)

    machine.json("up")

    assert running(machine) == {"api": "running", "worker-celery": "running", "redis": "running"}
    assert machine.json("engine", "show")["engines"]["celery"]["ok"]


def test_up_starts_a_worker_for_each_engine_that_has_a_share(machine: Terminal) -> None:
    machine.run("engine", "ratio", "0.2")

    machine.json("up", "--port", "0", "--redis")

    assert set(running(machine)) == {"api", "worker-celery", "worker-rq", "redis"}


def test_password_of_the_broker_is_in_no_command_line_and_no_log(machine: Terminal) -> None:
    machine.json("up", "--port", "0", "--redis")
    arguments = " ".join(" ".join(process.cmdline()) for process in machine.processes())
    machine.run("down")

    logs = "".join(log.read_text("utf-8") for log in (machine.data / "logs").iterdir())

    assert "s3cret" not in arguments
    assert "s3cret" not in logs


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "GRISTMILL_REDIS__URL=redis://127.0.0.1:6379/0"),
        ("redis://redis.example.com:6379/0", "only a Redis on this machine"),
    ],
)
def test_broker_is_started_only_where_every_command_finds_it(terminal: Terminal, url: str, says: str) -> None:
    refused = terminal.run("up", "--port", "0", "--redis", environment={"GRISTMILL_REDIS__URL": url})

    assert refused.code == 2
    assert says in refused.err
    assert terminal.processes() == []


def test_engine_is_changed_and_shown(terminal: Terminal) -> None:
    machine = replace(terminal, extra={"GRISTMILL_REDIS__URL": fresh_broker()})

    ratio = machine.run("engine", "ratio", "0.25")
    canary = machine.run("engine", "canary", "celery", "--steps", "0.5,1")
    used = machine.json("engine", "use", "local")

    assert "celery  25%" in ratio.out
    assert "rq      75%" in ratio.out
    assert "celery has 50% of the tasks, rq the rest" in canary.out
    assert (used["name"], used["canary"]) == ("local", None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("use", "celery"), "Engine celery needs Redis"),
        (("use", "kafka"), "kafka"),
        (("ratio", "2"), "between 0 and 1"),
        (("canary", "local"), "Name another engine"),
        (("canary", "rq", "--steps", "a,b"), "not a list of numbers"),
    ],
)
def test_wrong_use_of_the_engine_is_refused(terminal: Terminal, arguments: tuple[str, ...], says: str) -> None:
    refused = terminal.run("engine", *arguments)

    assert refused.code == 2
    assert says in refused.err
