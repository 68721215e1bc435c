"""A terminal for tests: runs the real program in a data directory of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

__all__ = ["SOURCE", "Finished", "Terminal"]

SOURCE = Path(__file__).parents[3] / "src"


@dataclass(frozen=True, slots=True)
class Finished:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Terminal:
    """One data directory and the commands given there."""

    data: Path
    home: Path
    bytecode: Path
    extra: dict[str, str] = field(default_factory=dict)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("GRISTMILL_", "REDIS_"))}
        clean.pop("PYTHONDONTWRITEBYTECODE", None)
        return {
            **clean,
            "PYTHONPATH": str(SOURCE),
            # Compiled once for all tests, outside the source: a command starts in a tenth of the time.
            "PYTHONPYCACHEPREFIX": str(self.bytecode),
            "GRISTMILL_DATA": str(self.data),
            "GRISTMILL_WORKERS__DRAIN_SECONDS": "1",
            "COLUMNS": "120",
            **self.extra,
            **(more or {}),
        }

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "gristmill.cli.main", *(str(argument) for argument in arguments)]

    def run(self, *arguments: object, environment: Mapping[str, str] | None = None, typed: str = "") -> Finished:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.home,
            env=self.environment(environment),
            input=typed,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: object) -> Any:
        """The JSON document a successful command answers."""
        finished = self.run(*arguments, "--json")
        assert finished.code == 0, finished
        return finished.json

    def processes(self) -> Sequence[psutil.Process]:
        """Every living process that belongs to the data directory, however it came to be."""
        found = []
        for process in psutil.process_iter():
            try:
                about = [*process.cmdline(), process.environ().get("GRISTMILL_DATA", "")]
            except (psutil.Error, OSError):
                continue
            if str(self.data) in about and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found
