"""deploy/Dockerfile makes an image that runs as nobody special, from what is locked and from nothing else."""

import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.settings import load_settings
from tests.deploy.files import DEPLOY, ROOT, command_of, instructions
from tests.support.processes import python_environment
from tests.support.service import serving

ALL = instructions()
STARTS = [at for at, (word, _) in enumerate(ALL) if word == "FROM"]
LAST = ALL[STARTS[-1] :]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def only(word: str) -> str:
    """What follows ``word``, which the last stage says once."""
    (rest,) = (rest for name, rest in LAST if name == word)
    return rest


def copied() -> Iterator[str]:
    for word, rest in ALL:
        if word == "COPY" and not rest.startswith("--from"):
            yield from rest.split()[:-1]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets ``path`` into the build: the last rule that fits it or a folder above decides."""
    lines = [line.strip() for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()]
    parts = Path(path).parts
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    inside = True
    for rule in (line for line in lines if line and not line.startswith("#")):
        pattern = rule.removeprefix("!").removeprefix("**/")
        places = parts if "**/" in rule else above
        if any(fnmatch.fnmatchcase(place, pattern) for place in places):
            inside = rule.startswith("!")
    return inside


def test_linter_finds_nothing() -> None:
    linter = str(Path(sys.executable).parent / "hadolint")
    done = subprocess.run([linter, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_both_stages_come_from_one_base_with_the_python_that_is_locked_for() -> None:
    bases = {rest.partition(" AS ")[0] for word, rest in ALL if word == "FROM"}
    (python,) = (rest.removeprefix("PYTHON=") for word, rest in ALL if rest.startswith("PYTHON="))

    assert bases == {"python:${PYTHON}-slim-trixie"}
    assert f"--python-version {python}" in (ROOT / "Makefile").read_text("utf-8")


def test_image_runs_as_a_user_without_rights_over_its_code() -> None:
    user, _, group = only("USER").partition(":")

    assert int(user) >= 10_000
    assert int(group) >= 10_000
    # What is copied belongs to root unless the line says otherwise.
    assert not any("--chown" in rest for word, rest in LAST if word == "COPY")


def test_last_stage_installs_no_program() -> None:
    done = " ".join(rest for word, rest in LAST if word == "RUN")

    assert re.findall(r"\b(apt|apt-get|pip|uv|curl|wget|gcc|make)\b", done) == []


def test_everything_installed_has_its_hash_checked_and_is_never_built() -> None:
    installs = [
        command for word, rest in ALL if word == "RUN" for command in rest.split("&&") if " install " in command
    ]
    locked, named, ours = (line.strip() for line in installs if "install --directory" not in line)

    assert "--require-hashes" in locked
    assert "--require-hashes --only-binary :all: --constraint dev.lock" in named
    # The wheel just made; its needs are in place by now.
    assert "--no-deps" in ours


def test_extras_exist_and_suffice_for_every_engine() -> None:
    (written,) = (rest for word, rest in ALL if word == "ARG" and rest.startswith("EXTRAS="))
    extras = set(written.removeprefix("EXTRAS=").strip('"').split())

    assert extras <= PROJECT["optional-dependencies"].keys()
    assert {"celery", "flower", "rq", "postgres"} <= extras


@pytest.mark.parametrize("source", list(copied()))
def test_build_sees_what_it_copies(source: str) -> None:
    assert (ROOT / source).exists()
    assert in_context(source)


def test_build_sees_what_the_wheel_is_made_of() -> None:
    named = {*PROJECT["license-files"], PROJECT["readme"], "pyproject.toml", "src/gristmill/py.typed"}

    assert {path for path in named if not in_context(path)} == set()


@pytest.mark.parametrize(
    "path",
    [".env", "deploy/.env", ".git/config", "gristmill-data/gristmill.db", "tests/x.py", "src/a/__pycache__/x.pyc"],
)
def test_build_sees_no_secrets_no_data_and_no_history(path: str) -> None:
    assert not in_context(path)


def test_settings_of_the_image_are_understood() -> None:
    settings = load_settings(environ=dict(item.split("=", 1) for item in only("ENV").split()))

    assert (str(settings.data), settings.api.host) == (only("VOLUME"), "0.0.0.0")
    assert settings.api.port == int(only("EXPOSE"))


def test_container_starts_without_a_shell_and_hears_the_signal_to_stop() -> None:
    assert json.loads(only("ENTRYPOINT")) == ["gristmill"]
    assert command_of(json.loads(only("CMD"))).info_name == "serve"
    assert only("STOPSIGNAL") == "SIGTERM"


def test_health_check_tells_a_service_that_answers_from_one_that_does_not(tmp_path: Path) -> None:
    program, *rest = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    assert program == "python"

    def check(port: int) -> int:
        environment = python_environment(GRISTMILL_API__PORT=str(port))
        return subprocess.run([sys.executable, *rest], env=environment, stderr=subprocess.PIPE, check=False).returncode

    with serving(tmp_path / "data") as service:
        port = int(service.url.rpartition(":")[2])
        assert check(port) == 0
    assert check(port) == 1
