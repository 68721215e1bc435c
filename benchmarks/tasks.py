"""Tasks that do nothing, through the whole path: submitted, claimed, run in another process, finished.

Beside Huey on SQLite, and beside the limit: the same number of bare SQLite transactions with the same pragmas.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.support import Cell, Options, Table, fresh, percentiles, spread, until, working
from gristmill.app import Gristmill
from gristmill.db.sqlite import sqlite_module
from gristmill.tasks.model import TaskFilter, TaskState

__all__ = ["run"]

_SLOTS = 2
_BATCH = 100
_PAUSE_SECONDS = 0.05
_LONGEST_SECONDS = 300.0


def run(options: Options) -> Iterator[Table]:
    """Throughput and idle latency."""
    tasks, rounds, pings = options.pick(1000, 100), options.pick(5, 1), options.pick(100, 10)
    with fresh() as app, working(app, slots=_SLOTS):
        _throughput(app, tasks // 10, batch=1)
        single = [_throughput(app, tasks, batch=1) for _ in range(rounds)]
        batched = [_throughput(app, tasks, batch=_BATCH) for _ in range(rounds)]
        waits = _latency(app, pings)
    bare = [_bare(tasks) for _ in range(rounds)]
    peer: list[float] = []
    peer_waits: list[float] = []
    if find_spec("huey"):
        with _huey() as huey:
            _huey_throughput(huey, tasks // 10)
            peer = [_huey_throughput(huey, tasks) for _ in range(rounds)]
            peer_waits = _huey_latency(huey, pings)
    limit = spread(bare)[1]

    def row(name: str, values: list[float]) -> tuple[Cell, ...]:
        low, median, high = spread(values)
        return (name, low, median, high, median / limit, median / spread(peer)[1] if peer else None)

    rows = [row("Gristmill, submitted one by one", single), row(f"Gristmill, submitted by {_BATCH}", batched)]
    rows += [row("Huey on SQLite, one by one", peer)] if peer else []
    yield Table(
        title="Tasks per second",
        head=("", "min", "median", "max", "of the limit", "of Huey"),
        rows=[*rows, row("limit: bare SQLite transactions", bare)],
        note=(
            f"{rounds} rounds of {tasks} tasks that do nothing; {_SLOTS} worker processes; from the first submit to "
            "the last finish. The limit is one process that, for each task, inserts a row and an event with "
            "`synchronous = FULL`, then twice updates the row and inserts an event with `NORMAL`."
            + ("" if peer else " Huey is not installed; `make setup` installs it.")
        ),
    )
    waited: list[tuple[Cell, ...]] = [("Gristmill", *_milliseconds(waits), None)]
    if peer_waits:
        ratio = percentiles(waits, 50)[0] / percentiles(peer_waits, 50)[0]
        waited[0] = ("Gristmill", *_milliseconds(waits), ratio)
        waited.append(("Huey, polling every 10 ms", *_milliseconds(peer_waits), 1.0))
    yield Table(
        title="From submit to start on an idle worker, ms",
        head=("", "p50", "p95", "max", "of Huey"),
        rows=waited,
        note=f"{pings} tasks, one at a time, {_PAUSE_SECONDS * 1000:.0f} ms apart.",
    )


def _milliseconds(seconds: list[float]) -> tuple[float, ...]:
    return tuple(value * 1000 for value in percentiles(seconds, 50, 95, 100))


def _throughput(app: Gristmill, tasks: int, *, batch: int) -> float:
    start = app.clock.now()
    for _ in range(tasks // batch):
        app.tasks.submit_all([app.tasks.draft("ping", {"note": "bench"}) for _ in range(batch)])

    def done() -> bool:
        counts = app.tasks.counts(TaskFilter(created_after=start, states=[TaskState.COMPLETED]))
        return counts.get(TaskState.COMPLETED, 0) >= tasks

    until(done, "tasks did not end", seconds=_LONGEST_SECONDS, pause=0.02)
    with app.database.read() as connection:
        last = int(connection.exec_driver_sql("SELECT max(finished_at) FROM tasks").scalar_one())
    return tasks / ((last - start) / 1_000_000)


def _latency(app: Gristmill, pings: int) -> list[float]:
    waits = []
    for _ in range(pings):
        time.sleep(_PAUSE_SECONDS)
        task = app.tasks.submit("ping", {})
        app.tasks.wait(task.id, timeout_seconds=_LONGEST_SECONDS)
        at = {event.name: event.at for event in app.tasks.events(task.id)}
        waits.append((at["claimed"] - at["submitted"]) / 1_000_000)
    return waits


def _bare(tasks: int) -> float:
    """Tasks per second if a task were nothing but its three transactions."""
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
        connection = sqlite_module().connect(str(Path(folder) / "bare.db"), isolation_level=None)
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
            "PRAGMA cache_size = -16000; PRAGMA journal_size_limit = 67108864;"
            "CREATE TABLE row (number INTEGER PRIMARY KEY, id TEXT UNIQUE, state TEXT, body TEXT);"
            "CREATE INDEX row_state ON row (state, number);"
            "CREATE TABLE event (seq INTEGER PRIMARY KEY, id TEXT, name TEXT);"
            "CREATE INDEX event_id ON event (id, seq);"
        )
        start = time.perf_counter()
        for number in range(tasks):
            identity = f"{number:032x}"
            _transact(
                connection, "FULL", "INSERT INTO row VALUES (?, ?, ?, ?)", (number, identity, "pending", "x" * 200)
            )
            for state in ("processing", "completed"):
                _transact(connection, "NORMAL", "UPDATE row SET state = ? WHERE id = ?", (state, identity))
        seconds = time.perf_counter() - start
        connection.close()
    return tasks / seconds


def _transact(connection: Any, synchronous: str, statement: str, values: tuple[object, ...]) -> None:
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(statement, values)
    connection.execute("INSERT INTO event (id, name) VALUES (?, ?)", (values[1], synchronous))
    connection.execute("COMMIT")


@contextmanager
def _huey() -> Iterator[Any]:
    """The module of the peer, and its consumer with two processes that poll as often as is reasonable."""
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-", ignore_cleanup_errors=True) as folder:
        os.environ["BENCHMARK_HUEY_FILE"] = str(Path(folder) / "huey.db")
        from benchmarks import huey_peer

        command = [sys.executable, "-m", "huey.bin.huey_consumer", "benchmarks.huey_peer.huey"]
        flags = ["--workers", str(_SLOTS), "--worker-type", "process", "--delay", "0.01", "--max-delay", "0.01"]
        consumer = subprocess.Popen([*command, *flags, "--quiet"], stderr=subprocess.DEVNULL)
        try:
            huey_peer.ping().get(blocking=True, timeout=_LONGEST_SECONDS)
            yield huey_peer
        finally:
            consumer.terminate()
            consumer.wait()
            huey_peer.huey.storage.close()


def _huey_throughput(peer: Any, tasks: int) -> float:
    peer.huey.storage.flush_results()
    start = time.perf_counter()
    for _ in range(tasks):
        peer.ping()
    until(lambda: peer.huey.result_count() >= tasks, "Huey did not finish", seconds=_LONGEST_SECONDS, pause=0.02)
    return tasks / (time.perf_counter() - start)


def _huey_latency(peer: Any, pings: int) -> list[float]:
    waits = []
    for _ in range(pings):
        time.sleep(_PAUSE_SECONDS)
        start = time.time()
        waits.append(peer.ping().get(blocking=True, timeout=_LONGEST_SECONDS, backoff=1, max_delay=0.01) - start)
    return waits
