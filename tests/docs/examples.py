"""Finds the examples of a page that are tested, and runs them.

An example is tested when the line before its block is ``<!-- tested -->``. The examples of a page run in order, in one
folder. A ``python`` block must run without an error. In a ``console`` block, ``$ `` begins a command and the lines
below it are its output, where ``...`` stands for any text, and alone on a line for any lines.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gristmill

__all__ = ["Example", "fits", "in_page", "run"]

_BLOCK = re.compile(r"^<!-- tested -->\n```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One tested block."""

    language: str
    text: str


def in_page(text: str) -> list[Example]:
    """The tested examples of a page, in order."""
    return [Example(language=language, text=block) for language, block in _BLOCK.findall(text)]


def fits(expected: str, actual: str) -> bool:
    """Whether ``actual`` is what an example promises."""
    lines = (re.escape(line).replace(r"\.\.\.", ".*") for line in expected.strip().splitlines())
    pattern = "".join("(?:.*\n)*" if line == ".*" else line + "\n" for line in lines)
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in actual.strip().splitlines())) is not None


def run(example: Example, folder: Path) -> None:
    """Run ``example`` in ``folder``; an AssertionError shows what came out instead."""
    if example.language == "python":
        code, output = _execute([sys.executable, "-c", example.text], folder)
        assert code == 0, output
        return
    for command, expected in _commands(example.text):
        code, output = _execute(["bash", "-euo", "pipefail", "-c", command], folder)
        assert fits(expected, output), f"$ {command}\n{output}(exit code {code})"


def _commands(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command = re.match(r"(?:.*\\\n)*.*", part)
        assert command is not None
        yield command[0], part[command.end() :]


def _execute(command: list[str], folder: Path) -> tuple[int, str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    environ["PYTHONPATH"] = str(Path(gristmill.__file__).parents[1])
    done = subprocess.run(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout
