"""What every benchmark stands on: a table of figures, a throw-away Gristmill with real processes, and percentiles."""

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psutil

from gristmill.app import Gristmill, open_gristmill
from gristmill.db.sqlite import sqlite_module
from gristmill.settings import Settings, load_settings
from gristmill.worker.foreground import cores

__all__ = [
    "CLI",
    "Cell",
    "Client",
    "Options",
    "Table",
    "Upload",
    "free_port",
    "fresh",
    "machine",
    "percentiles",
    "rss_mb",
    "serving",
    "settings_for",
    "spread",
    "until",
    "working",
]

CLI = [sys.executable, "-m", "gristmill.cli.main"]
Cell = str | int | float | None

_START_SECONDS = 60.0
_ENDING_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for."""

    quick: bool = False
    """Shows that everything runs; its figures mean little."""
    files: int = 200
    chunks: tuple[int, ...] = (10_000, 100_000)
    library_mb: int = 100
    embedders: tuple[str, ...] = ("multilingual", "fast", "quality")
    photos: Path | None = None
    """A folder of photographs; those that installed packages bring without one."""

    def pick(self, full: int, quick: int) -> int:
        """A number of rounds, tasks or seconds."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Figures with a heading."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str = ""

    def markdown(self) -> str:
        """The table as text that is also Markdown, columns aligned."""
        cells = [list(self.head), *([_shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.head))]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in cells
        ]
        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        return "\n".join([f"### {self.title}\n", lines[0], rule, *lines[1:], *(["", self.note] if self.note else [])])


def _shown(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case float() if abs(cell) < 100:
            return f"{cell:.3g}"
        case int() | float():
            return f"{cell:,.0f}"
    return cell


def machine() -> dict[str, Cell]:
    """What the figures were taken on."""
    cpu = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text("utf-8").splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return {
        "cores": cores(),
        "cpu": cpu,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite_module().sqlite_version,
        "load_before": round(os.getloadavg()[0], 2),
    }


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Least, median and greatest."""
    return min(values), statistics.median(values), max(values)


def percentiles(values: Sequence[float], *wanted: float) -> tuple[float, ...]:
    """The smallest values that ``wanted`` per cent of all do not exceed."""
    return tuple(float(np.percentile(values, per_cent, method="inverted_cdf")) for per_cent in wanted)


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def until(true: Callable[[], bool], what: str, *, seconds: float, pause: float = 0.005) -> None:
    """Wait for ``true``."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(pause)


def settings_for(data: Path, **overrides: Any) -> Settings:
    """The defaults, whatever the environment says, for the data directory ``data``."""
    return load_settings(data=data, overrides=overrides, environ={})


@contextmanager
def fresh(**overrides: Any) -> Iterator[Gristmill]:
    """A Gristmill in a directory of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-", ignore_cleanup_errors=True) as folder:
        app = open_gristmill(settings_for(Path(folder), **overrides))
        try:
            yield app
        finally:
            app.close()


@contextmanager
def working(app: Gristmill, *, slots: int) -> Iterator[int]:
    """A real worker of the engine of ``app`` with ``slots`` slots, each of which has answered; its process id."""
    if app.settings.engine.name in (None, "local"):
        command = [sys.executable, "-m", "gristmill.worker", "--attached"]
    else:
        command = [*CLI, "worker", "--engine", app.settings.engine.name]
    command += ["--data", str(app.paths.data), "--concurrency", str(slots)]
    with _process(app, command, app.paths.logs / "worker.log") as process:
        warm = app.tasks.submit_all([app.tasks.draft("ping", {"seconds": 0.5}) for _ in range(slots)])
        for task in warm:
            ended = app.tasks.wait(task.id, timeout_seconds=_START_SECONDS)
            if not ended.state.is_final:
                raise TimeoutError(f"the worker did not answer; see {app.paths.logs / 'worker.log'}")
        yield process.pid


@contextmanager
def serving(app: Gristmill) -> Iterator["Client"]:
    """The real HTTP server on the data directory of ``app``, and a client of it."""
    port = free_port()
    command = [*CLI, "serve", "--data", str(app.paths.data), "--host", "127.0.0.1", "--port", str(port)]
    log = app.paths.logs / "api.log"
    with _process(app, command, log) as process:
        client = Client(port, process.pid)

        def answers() -> bool:
            if process.poll() is not None:
                raise ChildProcessError(log.read_text("utf-8")[-2000:])
            return client.alive()

        until(answers, "the HTTP server did not answer", seconds=_START_SECONDS)
        yield client
        client.close()


@contextmanager
def _process(app: Gristmill, command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
    if app.settings.redis.url is not None and app.settings.engine.name is not None:
        environment["GRISTMILL_REDIS__URL"] = app.settings.redis.url.get_secret_value()
        environment["GRISTMILL_ENGINE__NAME"] = app.settings.engine.name
    with log.open("ab") as output:
        # In a session of its own, as ``gristmill up`` starts it: Linux may schedule sessions as groups.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        try:
            process.wait(timeout=_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file to be sent as a form."""

    name: str
    data: bytes

    def form(self) -> tuple[bytes, str]:
        """The body and its media type."""
        border = uuid4().hex
        head = f'--{border}\r\nContent-Disposition: form-data; name="files"; filename="{self.name}"\r\n\r\n'
        return head.encode() + self.data + f"\r\n--{border}--\r\n".encode(), f"multipart/form-data; boundary={border}"


class Client:
    """One kept-alive connection: the standard library's, so that little of what is measured is the client."""

    def __init__(self, port: int, pid: int = 0) -> None:
        self.port = port
        self.pid = pid
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def alive(self, path: str = "/health/live") -> bool:
        """Whether the server answers ``path`` with success."""
        try:
            self.ask("GET", path)
        except (OSError, RuntimeError):
            self._connection.close()
            return False
        return True

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer to a request; any status but success is an error."""
        if isinstance(body, Upload):
            sent, media_type = body.form()
        else:
            sent, media_type = json.dumps(body).encode(), "application/json"
        if body is None:
            self._connection.request(method, path)
        else:
            self._connection.request(method, path, body=sent, headers={"Content-Type": media_type})
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:500]!r}")
        return json.loads(answer) if answer.startswith((b"{", b"[")) else answer

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
