"""A terminal for each test; nothing it started may be left at the end."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.cli.terminal import Terminal


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture
def terminal(tmp_path: Path, bytecode: Path) -> Iterator[Terminal]:
    home = tmp_path / "home"
    home.mkdir()
    terminal = Terminal(data=tmp_path / "data", home=home, bytecode=bytecode)
    yield terminal
    left = terminal.processes()
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    assert [process.pid for process in left] == []


@pytest.fixture
def library(terminal: Terminal) -> Callable[[int], Path]:
    """Makes a folder with that many notes."""

    def write(count: int) -> Path:
        folder = terminal.home / "notes"
        folder.mkdir(exist_ok=True)
        for number in range(count):
            text = f"# Note {number}\n\nThe sweeper finds lost task {number}.\n\n清扫器会找回丢失的任务 {number}。\n"
            (folder / f"note{number}.md").write_text(text, "utf-8")
        return folder

    return write
