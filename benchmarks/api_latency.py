"""Answer times of mixed requests while nothing else runs, and while workers keep every core busy with indexing."""

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain, cycle
from pathlib import Path

import psutil

from benchmarks.corpus import write_corpus
from benchmarks.search import fill, queries
from benchmarks.support import Cell, Client, Options, Table, fresh, percentiles, serving, until, working
from gristmill.app import Gristmill
from gristmill.tasks.model import TaskFilter, TaskState
from gristmill.worker.foreground import cores

__all__ = ["run"]

_PROMISE_MS = 52.0
_PER_SECOND = 50
_UNENDING = 20
_LONGEST_SECONDS = 60.0

_Request = tuple[str, str, str, object]


def run(options: Options) -> Iterator[Table]:
    """All requests together, and each by itself."""
    seconds = options.pick(30, 4)
    with fresh() as app, working(app, slots=cores()), serving(app) as client:
        fill(app, options.chunks[0])
        requests = _requests(app)
        _paced(client, requests, options.pick(3, 1))
        idle, quiet = _watched(lambda: _paced(client, requests, seconds))
        with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
            _saturate(app, Path(folder), options.files)
            loaded, busy = _watched(lambda: _paced(client, requests, seconds))
            left = app.tasks.counts(TaskFilter(states=[TaskState.PENDING])).get(TaskState.PENDING, 0)
            if left == 0:
                raise RuntimeError("the workers ran out of work; use --files to give them more")
            app.tasks.cancel(TaskFilter(states=[TaskState.PENDING, TaskState.PROCESSING]))
    rows: list[tuple[Cell, ...]] = []
    for name in ["all", *idle]:
        one, other = (list(chain(*times.values())) if name == "all" else times[name] for times in (idle, loaded))
        rows += [
            (f"{name}, idle", *_milliseconds(one), None, None),
            (f"{name}, busy", *_milliseconds(other), *_ratios(other, one)),
        ]
    slow = sum(value * 1000 > _PROMISE_MS for values in loaded.values() for value in values)
    total = sum(map(len, loaded.values()))
    yield Table(
        title="HTTP answer times, ms",
        head=("", "p50", "p95", "p99", "max", "p50, of idle", "p95, of idle"),
        rows=rows,
        note=(
            f"{_PER_SECOND} requests a second for {seconds} s on one connection, {options.chunks[0]:,} chunks to "
            f"search; {cores()} slots. Cores were {quiet:.0f} % busy at first and {busy:.0f} % while indexing. "
            f"While indexing, {slow} of {total} answers took longer than the {_PROMISE_MS:.0f} ms that are promised."
        ),
    )


def _requests(app: Gristmill) -> Iterator[_Request]:
    task = app.tasks.submit("ping", {})
    asked = cycle(queries(500))
    while True:
        yield "live", "GET", "/health/live", None
        yield "tasks", "GET", "/api/tasks?limit=20", None
        yield "progress", "GET", f"/api/index/task/{task.id}", None
        yield "documents", "GET", "/api/documents?collection=bench&limit=20", None
        for mode in ("keyword", "hybrid"):
            body = {"query": next(asked), "collection": "bench", "mode": mode}
            yield f"{mode} search", "POST", "/api/search", body


def _paced(client: Client, requests: Iterator[_Request], seconds: float) -> dict[str, list[float]]:
    """Send on a fixed beat; a request held up by a slow one before it counts from when it was due."""
    times: dict[str, list[float]] = {}
    held_up = False
    start = time.perf_counter()
    for number in range(int(seconds * _PER_SECOND)):
        due = start + number / _PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        name, method, path, body = next(requests)
        client.ask(method, path, body)
        ended = time.perf_counter()
        # Waking up late is the client's fault, queueing behind a slow answer is not.
        times.setdefault(name, []).append(ended - (due if held_up else began))
        held_up = ended > due + 1 / _PER_SECOND
    return times


def _watched(
    measure: Callable[[], dict[str, list[float]]],
) -> tuple[dict[str, list[float]], float]:
    psutil.cpu_percent()
    measured = measure()
    return measured, psutil.cpu_percent()


def _saturate(app: Gristmill, folder: Path, files: int) -> None:
    """Give the workers more than they can do, and come back when all slots are at it."""
    paths = [(str(file), str(file.parent)) for file in write_corpus(folder, files)]
    for number in range(_UNENDING):
        documents = app.documents.register_local(paths, collection=f"load{number}")
        app.documents.index([document.id for document in documents], force=True)
    busy = TaskFilter(states=[TaskState.PROCESSING], kinds=["index_document"])
    until(
        lambda: app.tasks.counts(busy).get(TaskState.PROCESSING, 0) >= cores(),
        "the workers did not begin",
        seconds=_LONGEST_SECONDS,
    )


def _ratios(busy: list[float], idle: list[float]) -> tuple[float, ...]:
    pairs = zip(percentiles(busy, 50, 95), percentiles(idle, 50, 95), strict=True)
    return tuple(one / other for one, other in pairs)


def _milliseconds(seconds: list[float]) -> tuple[float, ...]:
    return tuple(value * 1000 for value in percentiles(seconds, 50, 95, 99, 100))
