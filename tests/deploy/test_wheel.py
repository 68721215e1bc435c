"""What is installed is all that runs: nothing is left behind in the sources."""

import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from tests.deploy.files import ROOT
from tests.support.processes import python_environment

PACKAGE = ROOT / "src" / "gristmill"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what an installation has, and nothing of the sources."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    sources = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert packed == sources
    assert {Path(name).suffix for name in packed} >= {".py", ".sql", ".html", ".js", ".css"}


def test_wheel_carries_its_license_and_its_command(installed: Path) -> None:
    (information,) = installed.glob("*.dist-info")
    metadata = HeaderParser().parsestr((information / "METADATA").read_text("utf-8"))

    assert metadata["License-Expression"] == "Apache-2.0"
    assert (information / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert "gristmill = gristmill.cli.main:main" in (information / "entry_points.txt").read_text("utf-8")


def test_installation_finds_its_migrations_and_messages(installed: Path, tmp_path: Path) -> None:
    program = (
        "import sys, gristmill\n"
        f"assert gristmill.__file__.startswith({str(installed)!r}), gristmill.__file__\n"
        "from gristmill.cli.main import main\n"
        "main(['--data', 'data', 'migrate'])\n"
    )
    environment = python_environment(GRISTMILL_LANGUAGE="zh") | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "0001_initial" in done.stdout
    assert not done.stdout.isascii()
