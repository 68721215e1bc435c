"""The systemd units start what they should, hold it in, and give it time to stop."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gristmill.settings import Settings, load_settings
from gristmill.worker.supervisor import _HARD_STOP_SECONDS
from tests.deploy.files import DEPLOY, command_of, seconds

UNITS = DEPLOY / "systemd"
SERVICES = ("gristmill-api.service", "gristmill-scheduler.service", "gristmill-worker@.service")
PROGRAM = "/opt/gristmill/bin/gristmill"
_MARGIN_SECONDS = 10


def sections_of(name: str) -> dict[str, dict[str, list[str]]]:
    sections: dict[str, dict[str, list[str]]] = {}
    for line in (UNITS / name).read_text("utf-8").splitlines():
        if head := re.fullmatch(r"\[(\w+)\]", line):
            here = sections.setdefault(head[1], {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            here.setdefault(key, []).append(value)
    return sections


def value_of(name: str, key: str) -> str:
    (value,) = sections_of(name)["Service"][key]
    return value


def settings_of(name: str, *more: str) -> Settings:
    lines = [*sections_of(name)["Service"].get("Environment", ()), *more]
    return load_settings(environ=dict(line.split("=", 1) for line in lines))


def offered() -> list[str]:
    """The lines of the environment file, those in comments too."""
    return re.findall(r"^#?(GRISTMILL_\w+=.*)$", (UNITS / "gristmill.env").read_text("utf-8"), re.MULTILINE)


def test_units_are_valid(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.target")]:
        text = unit.read_text("utf-8").replace(PROGRAM, shutil.which("true") or "/bin/true")
        (tmp_path / unit.name).write_text(text, "utf-8")
    names = [name.replace("@.", "@one.") for name in SERVICES]
    done = subprocess.run(
        [program, "verify", *(f"./{name}" for name in (*names, "gristmill.target"))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "verb"),
    [("gristmill-api", "serve"), ("gristmill-scheduler", "scheduler"), ("gristmill-worker@", "worker")],
)
def test_unit_runs_a_command_of_ours(name: str, verb: str) -> None:
    program, *arguments = shlex.split(value_of(f"{name}.service", "ExecStart"))

    assert program == PROGRAM
    assert command_of(arguments).info_name == verb


@pytest.mark.parametrize("name", SERVICES)
def test_settings_of_a_unit_are_understood_and_its_data_are_where_it_may_write(name: str) -> None:
    assert str(settings_of(name).data) == f"/var/lib/{value_of(name, 'StateDirectory')}"


@pytest.mark.parametrize("line", offered())
def test_line_of_the_environment_file_is_understood(line: str) -> None:
    settings_of("gristmill-worker@.service", line.rstrip("=") + "=1" if line.endswith("=") else line)


def test_environment_file_holds_no_secret() -> None:
    lines = (UNITS / "gristmill.env").read_text("utf-8").splitlines()

    assert [line for line in lines if re.search(r"(PASSWORD|SECRET|KEY)\w*=.", line)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_unit_is_held_in(name: str) -> None:
    held = {
        "User": "gristmill",
        "NoNewPrivileges": "true",
        "ProtectSystem": "strict",
        "ProtectHome": "true",
        "PrivateTmp": "true",
        "PrivateDevices": "true",
        "ProtectProc": "invisible",
        "CapabilityBoundingSet": "",
        "RestrictNamespaces": "true",
        "RestrictSUIDSGID": "true",
        "SystemCallFilter": "@system-service",
        "UMask": "0077",
    }

    assert {key: value_of(name, key) for key in held} == held


def test_user_of_the_units_is_made() -> None:
    kind, user, *_ = shlex.split((UNITS / "gristmill.sysusers.conf").read_text("utf-8"))

    assert (kind, user) == ("u", "gristmill")


@pytest.mark.parametrize("name", SERVICES)
def test_unit_comes_back_unless_it_was_told_wrong(name: str) -> None:
    assert (value_of(name, "Restart"), value_of(name, "RestartPreventExitStatus")) == ("always", "2")
    assert sections_of(name)["Unit"]["StartLimitIntervalSec"] == ["0"]


@pytest.mark.parametrize("name", SERVICES)
def test_target_starts_and_stops_all_units(name: str) -> None:
    assert sections_of(name)["Unit"]["PartOf"] == ["gristmill.target"]
    assert sections_of(name)["Install"]["WantedBy"] == ["gristmill.target"]


def test_worker_alone_is_told_to_stop_and_its_tasks_have_their_time_to_end() -> None:
    worker = "gristmill-worker@.service"
    drain = settings_of(worker).workers.drain_seconds

    assert value_of(worker, "KillMode") == "mixed"
    assert seconds(value_of(worker, "TimeoutStopSec")) >= drain + _HARD_STOP_SECONDS + _MARGIN_SECONDS


def test_worker_outlives_a_task_that_the_kernel_kills_for_its_memory() -> None:
    assert value_of("gristmill-worker@.service", "OOMPolicy") == "continue"
