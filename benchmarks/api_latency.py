"""Answer times of mixed requests while nothing else runs, and while workers keep every core busy with indexing.

Submitting, asking after a task, lists, uploads and searches, as a busy team sends them.
"""

import queue
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count, cycle
from pathlib import Path
from typing import Any

import psutil

from benchmarks.corpus import write_corpus
from benchmarks.search import fill, queries
from benchmarks.support import Cell, Client, Options, Table, Upload, fresh, percentiles, serving, until, working
from gristmill.app import Gristmill
from gristmill.bench.broker import broker
from gristmill.engines.redis import server_program
from gristmill.tasks.model import TaskFilter, TaskState
from gristmill.worker.foreground import cores

__all__ = ["run"]

_PROMISE_MS = 52.0
_PER_SECOND = 50
_SECONDS = 120
_CONNECTIONS = 8
_UNENDING = 20
_LONGEST_SECONDS = 60.0
_UPLOADED = b"The upper weir was repaired in April, and the wheel turns again. " * 300

_Request = tuple[str, str, str, object]


def run(options: Options) -> Iterator[Table]:
    """All requests together, and each by itself, with the workers of each engine whose server can be had."""
    yield _answered("local", options, {})
    if server_program() is not None and not options.quick:
        with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder, broker(Path(folder) / "redis") as url:
            yield _answered("celery", options, {"engine": {"name": "celery"}, "redis": {"url": url}})


def _answered(engine: str, options: Options, settings: Mapping[str, Any]) -> Table:
    seconds = options.pick(_SECONDS, 4)
    with fresh(**settings) as app, working(app, slots=cores()), serving(app) as client:
        fill(app, options.chunks[0])
        requests = _requests(app)
        _paced(client.port, requests, options.pick(3, 1))
        idle, quiet = _watched(lambda: _paced(client.port, requests, seconds))
        with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
            _saturate(app, Path(folder), options.files)
            loaded, busy = _watched(lambda: _paced(client.port, requests, seconds))
            left = app.tasks.counts(TaskFilter(states=[TaskState.PENDING])).get(TaskState.PENDING, 0)
            if left == 0:
                raise RuntimeError("the workers ran out of work; use --files to give them more")
            app.tasks.cancel(TaskFilter(states=[TaskState.PENDING, TaskState.PROCESSING]))
    rows: list[tuple[Cell, ...]] = []
    searches = [name for name in idle if name.endswith("search")]
    groups = {
        "all but searches": [name for name in idle if name not in searches],
        "searches": searches,
        **{name: [name] for name in idle},
    }
    for title, names in groups.items():
        one, other = (list(chain.from_iterable(times[name] for name in names)) for times in (idle, loaded))
        rows += [
            (f"{title}, idle", *_milliseconds(one), None, _slow(one)),
            (f"{title}, busy", *_milliseconds(other), _ratio(other, one), _slow(other)),
        ]
    slow = _slow(list(chain(*loaded.values())))
    total = sum(map(len, loaded.values()))
    return Table(
        title=f"HTTP answer times, ms, with workers of `{engine}`",
        head=("", "p50", "p95", "p99", "max", "p99, of idle", f"over {_PROMISE_MS:.0f} ms"),
        rows=rows,
        note=(
            f"{_PER_SECOND} requests a second for {seconds} s over {_CONNECTIONS} connections, {options.chunks[0]:,} chunks to "
            f"search; {cores()} slots. Cores were {quiet:.0f} % busy at first and {busy:.0f} % while indexing. "
            f"While indexing, {slow} of {total} answers took longer than the {_PROMISE_MS:.0f} ms that are promised."
        ),
    )


def _requests(app: Gristmill) -> Iterator[_Request]:
    task = app.tasks.submit("ping", {})
    asked = cycle(queries(500))
    for number in count():
        yield "live", "GET", "/health/live", None
        yield "submit", "POST", "/api/tasks", {"kind": "ping", "payload": {}}
        yield "task list", "GET", "/api/tasks?limit=20", None
        yield "progress", "GET", f"/api/index/task/{task.id}", None
        yield "document list", "GET", "/api/documents?collection=bench&limit=20", None
        upload = Upload(name=f"note {number}.txt", data=b"Note %d. %b" % (number, _UPLOADED))
        yield "upload", "POST", "/api/documents", upload
        for mode in ("keyword", "hybrid"):
            body = {"query": next(asked), "collection": "bench", "mode": mode}
            yield f"{mode} search", "POST", "/api/search", body


def _paced(port: int, requests: Iterator[_Request], seconds: float) -> dict[str, list[float]]:
    """Send on a fixed beat, each over a connection that is free, as if from many people.

    A request for which none was free counts from when it was due.
    """
    times: dict[str, list[float]] = {}
    free: queue.SimpleQueue[Client] = queue.SimpleQueue()
    clients = [Client(port) for _ in range(_CONNECTIONS)]
    for client in clients:
        client.ask("GET", "/health/live")
        free.put(client)

    def send(client: Client, request: _Request, since: float | None) -> tuple[str, float]:
        name, method, path, body = request
        # Waking up late is the client's fault, waiting for slow answers is not.
        began = time.perf_counter() if since is None else since
        client.ask(method, path, body)
        took = time.perf_counter() - began
        free.put(client)
        return name, took

    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        sent = []
        start = time.perf_counter()
        for number in range(int(seconds * _PER_SECOND)):
            due = start + number / _PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
            since = due if free.empty() else None
            sent.append(threads.submit(send, free.get(), next(requests), since))
        for future in sent:
            name, took = future.result()
            times.setdefault(name, []).append(took)
    for client in clients:
        client.close()
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


def _ratio(busy: list[float], idle: list[float]) -> float:
    return percentiles(busy, 99)[0] / percentiles(idle, 99)[0]


def _slow(seconds: list[float]) -> int:
    return sum(value * 1000 > _PROMISE_MS for value in seconds)


def _milliseconds(seconds: list[float]) -> tuple[float, ...]:
    return tuple(value * 1000 for value in percentiles(seconds, 50, 95, 99, 100))
