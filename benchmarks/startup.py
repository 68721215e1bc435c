"""How long until something answers, beside a Python that starts and ends."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.support import CLI, Cell, Client, Options, Table, free_port, spread, until

__all__ = ["run"]

_LONGEST_SECONDS = 60.0


def run(options: Options) -> Iterator[Table]:
    """Commands, imports and the service."""
    rounds = options.pick(15, 2)
    timed = {
        "python -c pass": _times([sys.executable, "-c", "pass"], rounds),
        "gristmill --help": _times([*CLI, "--help"], rounds),
        "import gristmill.app": _times([sys.executable, "-c", "import gristmill.app"], rounds),
        "import gristmill.api.server": _times([sys.executable, "-c", "import gristmill.api.server"], rounds),
        "import gristmill.worker.slot": _times([sys.executable, "-c", "import gristmill.worker.slot"], rounds),
        "gristmill tasks list": _tasks_list(rounds),
        "gristmill up, to the first answer": [_up() for _ in range(options.pick(5, 1))],
    }
    bare = spread(timed["python -c pass"])[1]
    rows: list[tuple[Cell, ...]] = []
    for name, seconds in timed.items():
        low, median, high = spread(seconds)
        rows.append((name, low * 1000, median * 1000, high * 1000, median / bare))
    yield Table(
        title="Starting, ms",
        head=("", "min", "median", "max", "of a bare Python"),
        rows=rows,
        note="Whole processes, from start to end; files are in the page cache. The last row ends when `/health/ready` answers.",
    )


def _times(command: Sequence[str], rounds: int) -> list[float]:
    _run(command)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        _run(command)
        times.append(time.perf_counter() - start)
    return times


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _tasks_list(rounds: int) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
        return _times([*CLI, "--data", folder, "tasks", "list"], rounds)


def _up() -> float:
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        data = ["--data", str(Path(folder) / "data")]
        client = Client(port)
        start = time.perf_counter()
        try:
            _run([*CLI, *data, "up", "--port", str(port)])
            until(lambda: client.alive("/health/ready"), "the service did not answer", seconds=_LONGEST_SECONDS)
            return time.perf_counter() - start
        finally:
            client.close()
            _run([*CLI, *data, "down"])
