"""`up`, `down` and `status`: one API and one worker for each data directory, and nothing left when they go."""

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

from gristmill.cli.instance import ask
from tests.integration.cli.terminal import Terminal
from tests.support.waiting import eventually


@pytest.fixture
def machine(terminal: Terminal) -> Iterator[Terminal]:
    """A terminal whose background processes are taken down at the end, whatever the test did to them."""
    yield terminal
    terminal.run("down", "--now")
    for process in terminal.processes():
        with contextlib.suppress(psutil.Error):
            process.kill()


def states(terminal: Terminal) -> dict[str, str]:
    return {process["name"]: process["state"] for process in terminal.run("status", "--json").json["processes"]}


def pids(answer: dict[str, list[dict[str, int | str]]]) -> dict[str, int]:
    return {str(process["name"]): int(process["pid"]) for process in answer["processes"]}


def test_up_answers_and_works_and_down_leaves_nothing(machine: Terminal, library: Callable[[int], Path]) -> None:
    up = machine.json("up", "--port", "0")
    with urlopen(f"{up['url']}/health/live", timeout=5) as answer:
        assert answer.status == 200
    indexed = machine.run("index", library(3))
    eventually(lambda: machine.json("status")["workers"])

    down = machine.run("down", "--json")

    assert "Indexed 3 documents" in indexed.out
    assert "No worker is running" not in indexed.err
    assert {line["name"]: line["pid"] for line in down.json["stopped"]} == pids(up)
    assert machine.processes() == []
    assert {left.name for left in (machine.data / "run").iterdir()} == {"instance.lock"}


def test_status_exits_with_3_unless_all_is_running(machine: Terminal) -> None:
    before = machine.run("status", "--json")
    created = machine.data.exists()
    machine.json("up", "--port", "0")
    running = machine.run("status", "--json")

    assert (before.code, created) == (3, False)
    assert {process["state"] for process in before.json["processes"]} == {"stopped"}
    assert (running.code, running.json["ready"]) == (0, True)


def test_second_up_is_refused_and_changes_nothing(machine: Terminal) -> None:
    up = machine.json("up", "--port", "0")

    again = machine.run("up", "--port", "0")

    assert again.code == 1
    assert up["url"] in again.err
    assert "gristmill down" in again.err
    assert pids(machine.json("status")) == pids(up)


def test_only_one_of_several_ups_at_once_starts_anything(machine: Terminal) -> None:
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: machine.run("up", "--port", "0"), range(4)))

    assert sorted(one.code for one in done) == [0, 1, 1, 1]
    assert machine.run("status").code == 0
    assert len([process for process in machine.processes() if "serve" in process.cmdline()]) == 1


def test_up_replaces_only_the_api_after_that_was_killed(machine: Terminal) -> None:
    first = pids(machine.json("up", "--port", "0"))
    os.kill(first["api"], signal.SIGKILL)
    eventually(lambda: states(machine)["api"] == "died")

    second = machine.json("up", "--port", "0")

    assert pids(second)["worker"] == first["worker"]
    assert pids(second)["api"] != first["api"]
    assert machine.run("status").code == 0


def test_down_takes_the_slots_along_after_their_worker_was_killed(machine: Terminal) -> None:
    up = pids(machine.json("up", "--port", "0"))
    worker = psutil.Process(up["worker"])
    slots = eventually(worker.children)
    worker.kill()

    down = machine.json("down")

    assert [line["name"] for line in down["stopped"]] == ["api"]
    eventually(lambda: not any(slot.is_running() for slot in slots))
    assert machine.processes() == []


def test_down_kills_what_does_not_listen(machine: Terminal) -> None:
    up = pids(machine.json("up", "--port", "0"))
    worker = psutil.Process(up["worker"])
    eventually(worker.children)
    for process in (psutil.Process(up["api"]), worker):
        process.suspend()

    machine.json("down", "--now")

    assert machine.processes() == []


def test_pid_file_left_by_a_dead_process_is_not_mistaken_for_a_live_one(machine: Terminal) -> None:
    run = machine.data / "run"
    run.mkdir(parents=True)
    (run / "api.pid").write_text(f"{os.getpid()}\n")

    status = states(machine)
    down = machine.json("down")

    assert status["api"] == "died"
    assert down == {"stopped": []}


def test_up_tells_why_and_leaves_nothing_when_the_port_is_taken(machine: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = machine.run("up", "--port", taken.getsockname()[1])

    assert done.code == 1
    assert "--port" in done.err
    assert machine.processes() == []


def test_up_tells_what_a_process_said_that_ended_at_once(machine: Terminal) -> None:
    (machine.data).mkdir()
    (machine.data / "gristmill.db").write_bytes(b"this is no database" * 100)

    done = machine.run("up", "--port", "0")

    assert done.code in (1, 3)
    assert str(machine.data / "logs") in done.err
    assert "Traceback" not in done.err.splitlines()[0]
    assert machine.processes() == []


def test_up_listens_to_others_once_there_is_a_key(machine: Terminal) -> None:
    machine.json("keys", "create", "me")

    up = machine.json("up", "--host", "0.0.0.0", "--port", "0")

    assert up["url"].startswith("http://127.0.0.1:")
    assert machine.run("status").code == 0


def test_doctor_is_content_when_all_is_up(machine: Terminal) -> None:
    machine.json("up", "--port", "0")
    eventually(lambda: machine.json("status")["workers"])

    done = machine.run("doctor", "--json")

    assert [check for check in done.json["checks"] if not check["ok"]] == []
    assert done.code == 0
    assert "api" in {check["name"] for check in done.json["checks"]}


def test_doctor_names_the_queue_nobody_listens_to(machine: Terminal) -> None:
    machine.json("up", "--port", "0", "--queues", "default", "--concurrency", "1")
    eventually(lambda: machine.json("status")["workers"])

    done = machine.run("doctor", "--json")

    (workers,) = [check for check in done.json["checks"] if not check["ok"]]
    assert done.code == 1
    assert "documents" in workers["detail"]
    assert "--queues" in workers["remedy"]


def background(machine: Terminal, *verb: str) -> subprocess.Popen[str]:
    environment = machine.environment({"GRISTMILL_LOG__FORMAT": "json"})
    return subprocess.Popen(
        machine.command(*verb), cwd=machine.home, env=environment, stderr=subprocess.PIPE, text=True
    )


def line_of(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """The log line that tells of ``event``, once it is written."""
    assert process.stderr is not None
    for text in process.stderr:
        line: dict[str, Any] = json.loads(text)
        if line["event"] == event:
            return line
    raise AssertionError(f"ended without {event}")


def test_serve_ends_cleanly_when_interrupted(machine: Terminal) -> None:
    with background(machine, "serve", "--port", "0") as process:
        url = f"http://127.0.0.1:{line_of(process, 'api.listening')['port']}"
        eventually(lambda: ask(url, "/health/live"))

        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "Traceback" not in err


def test_worker_ends_cleanly_when_interrupted(machine: Terminal) -> None:
    with background(machine, "worker", "--concurrency", "1") as process:
        line_of(process, "slot.started")

        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "Traceback" not in err
