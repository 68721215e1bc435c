"""How late watchers are told what happened, and what they cost everybody else.

Hundreds of WebSockets follow a hundred tasks that report progress and are tried again and again; one socket alone is
the limit. Meanwhile others ask the API, as they do when nobody watches.
"""

import asyncio
import json
import multiprocessing
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import psutil
from websockets.asyncio.client import connect

from benchmarks.support import Cell, Client, Options, Table, fresh, percentiles, serving, settings_for
from gristmill.app import Gristmill, open_gristmill
from gristmill.tasks.model import NewTask, Progress, Retried, TaskError, Worker

__all__ = ["run"]

_SECONDS = 30
_TASKS = 100
_SOCKETS = 500
_CLIENTS = 2
"""Processes that hold the sockets."""
_SAMPLED = 100
"""Sockets whose messages are read; all others are only counted, or the readers would be what is measured."""
_REPORTS_PER_SECOND = 100
_TRIES_PER_SECOND = 10
"""Attempts that end and begin again; each is two events."""
_ASKED_PER_SECOND = 37
"""Never for long in step with the server's looks."""
_PEOPLE = 5
_OPENING = 25
_LONGEST_SECONDS = 60.0
_WORKER = "bench"

_REQUESTS = (
    ("live", "GET", "/health/live", None),
    ("submit", "POST", "/api/tasks", {"kind": "ping", "payload": {}}),
    ("task list", "GET", "/api/tasks?limit=20", None),
)

_Times = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What became of one crowd of watchers."""

    late: Sequence[float]
    """From when an event happened to when a socket had it."""
    messages: int
    answered: _Times
    server_share: float
    """Of one core."""


def run(options: Options) -> Iterator[Table]:
    """How late events come, and the answer times of the API without watchers and with them."""
    seconds, sockets = options.pick(_SECONDS, 2), options.pick(_SOCKETS, 40)
    with fresh() as app, serving(app) as client:
        _asked(client.port, options.pick(3, 1))
        idle = _asked(client.port, seconds)
        with _running(app.paths.data) as ids:
            unwatched = _asked(client.port, seconds)
            each = [f"/ws/tasks/{ids[number % len(ids)]}" for number in range(sockets)]
            crowds = {
                "1 socket, all tasks": _watched(client, ["/ws/tasks"], seconds),
                f"{sockets} sockets, one task each": _watched(client, each, seconds),
                f"{sockets} sockets, all tasks": _watched(client, ["/ws/tasks"] * sockets, seconds),
            }
    yield Table(
        title="From an event to those who watch, ms",
        head=("", "p50", "p95", "max", "messages/s", "server, % of a core"),
        rows=[
            (title, *_milliseconds(told.late, 50, 95, 100), told.messages / seconds, 100 * told.server_share)
            for title, told in crowds.items()
        ],
        note=(
            f"{_TASKS} tasks run; together they report progress {_REPORTS_PER_SECOND} times a second, and "
            f"{_TRIES_PER_SECOND} attempts end and begin again; {seconds} s each. The server looks ten times a second. "
            f"All shares the machine: the server, the process that runs the tasks, {_CLIENTS} that hold the sockets."
        ),
    )
    states = {"idle": idle, "tasks run, nobody watches": unwatched}
    states |= {title: told.answered for title, told in crowds.items()}
    yield Table(
        title="HTTP answer times beside watchers, ms",
        head=("", "p50", "p95", "p99", "max"),
        rows=[
            (f"{name}; {title}", *_milliseconds(times[name], 50, 95, 99, 100))
            for name, *_ in _REQUESTS
            for title, times in states.items()
        ],
        note=f"{_ASKED_PER_SECOND} requests a second over {_PEOPLE} connections.",
    )


def _watched(client: Client, paths: Sequence[str], seconds: float) -> _Told:
    """Follow ``paths``, each with a socket of its own, and ask the API meanwhile."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(1 + min(_CLIENTS, len(paths)))
    server = psutil.Process(client.pid)
    every = max(1, len(paths) // _SAMPLED)
    ends, crowd = [], []
    for number in range(ready.parties - 1):
        here, there = context.Pipe(duplex=False)
        share = list(paths[number::_CLIENTS])
        arguments = (client.port, share, every, seconds, ready, there)
        crowd.append(context.Process(target=_follow, args=arguments, daemon=True))
        crowd[-1].start()
        ends.append(here)
    ready.wait(_LONGEST_SECONDS)
    before = _cpu_seconds(server)
    answered = _asked(client.port, seconds)
    used = _cpu_seconds(server) - before
    told: list[tuple[list[float], int]] = [end.recv() for end in ends]
    for process in crowd:
        process.join(_LONGEST_SECONDS)
    return _Told(
        late=[late for found, _ in told for late in found],
        messages=sum(count for _, count in told),
        answered=answered,
        server_share=used / seconds,
    )


def _follow(port: int, paths: Sequence[str], every: int, seconds: float, ready: Barrier, answer: Connection) -> None:
    """A process that holds sockets: how late the events were that it read, and how many messages came."""
    answer.send(asyncio.run(_follow_all(port, paths, every, seconds, ready)))


async def _follow_all(
    port: int, paths: Sequence[str], every: int, seconds: float, ready: Barrier
) -> tuple[list[float], int]:
    late: list[float] = []
    messages = 0
    measures = False
    opening = asyncio.Semaphore(_OPENING)
    opened = asyncio.Barrier(len(paths) + 1)

    async def watch(path: str, *, is_read: bool) -> None:
        nonlocal messages
        async with opening:
            connecting = connect(f"ws://127.0.0.1:{port}{path}", compression=None, proxy=None, max_size=None)
            socket = await connecting.__aenter__()
        await opened.wait()
        while True:
            text = await socket.recv(decode=False)
            if measures:
                messages += 1
                if is_read:
                    late.extend(_lateness(text))

    watching = [asyncio.create_task(watch(path, is_read=not number % every)) for number, path in enumerate(paths)]
    await asyncio.wait_for(opened.wait(), _LONGEST_SECONDS)
    await asyncio.to_thread(ready.wait, _LONGEST_SECONDS)
    measures = True
    await asyncio.sleep(seconds)
    measures = False
    if broken := [task for task in watching if task.done()]:
        broken[0].result()
    return late, messages


def _lateness(message: bytes | str) -> Iterator[float]:
    now = time.time()
    for event in json.loads(message).get("events", ()):
        yield now - datetime.fromisoformat(event["at"]).timestamp()


@contextmanager
def _running(data: Path) -> Iterator[Sequence[str]]:
    """Tasks that another process runs meanwhile."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    stop = context.Event()
    process = context.Process(target=_run_tasks, args=(data, stop, there), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        stop.set()
        process.join(_LONGEST_SECONDS)


def _run_tasks(data: Path, stop: Event, started: Connection) -> None:
    """A process that runs tasks as workers do: reports, ends attempts, begins others."""
    app = open_gristmill(settings_for(data))
    leases = _claimed(app)
    started.send(list(leases))
    turns, chance = cycle(leases), random.Random(1)
    reports = 0
    began = time.monotonic()
    while not stop.wait(max(0.0, began + reports / _REPORTS_PER_SECOND - time.monotonic())):
        reports += 1
        task_id = next(turns)
        progress = Progress(stage="embed", unit="chunks", done=reports // _TASKS, total=100_000)
        app.store.progress(task_id, leases[task_id], progress)
        # At any moment, not in step with the server's looks.
        if chance.random() < _TRIES_PER_SECOND / _REPORTS_PER_SECOND:
            error = TaskError(code="unexpected_error", facts={"error": "Again"})
            app.store.finish(task_id, leases[task_id], Retried(error=error, delay_seconds=0.0))
            (task,) = app.store.claim(_WORKER, queues=["default"], kinds=["ping"], ids=[task_id])
            leases[task_id] = task.lease
    app.close()


def _claimed(app: Gristmill) -> dict[str, int]:
    """As many tasks as are to run, with the leases of whoever runs them."""
    app.store.register_worker(
        Worker(id=_WORKER, name=_WORKER, engine="local", queues=("default",), slots=_TASKS, pid=0, host="localhost")
    )
    drafts = [app.tasks.draft("ping", {}) for _ in range(_TASKS)]
    tasks = app.store.add([_endless(draft) for draft in drafts])
    for task in tasks:
        app.store.claim(_WORKER, queues=["default"], kinds=["ping"], ids=[task.id])
    return {task.id: 1 for task in tasks}


def _endless(task: NewTask) -> NewTask:
    return NewTask(id=task.id, kind=task.kind, queue=task.queue, payload=task.payload, max_attempts=1_000_000)


def _asked(port: int, seconds: float) -> _Times:
    """Ask over several connections, each on a beat of its own, as several people do."""
    times: dict[str, list[float]] = {name: [] for name, *_ in _REQUESTS}
    with ThreadPoolExecutor(_PEOPLE) as threads:
        for asked in [threads.submit(_ask, port, number, seconds) for number in range(_PEOPLE)]:
            for name, took in asked.result():
                times[name].append(took)
    return times


def _ask(port: int, person: int, seconds: float) -> list[tuple[str, float]]:
    times = []
    client = Client(port)
    start = time.perf_counter() + person / _ASKED_PER_SECOND
    for number in range(int(seconds * _ASKED_PER_SECOND / _PEOPLE)):
        name, method, path, body = _REQUESTS[(number + person) % len(_REQUESTS)]
        due = start + number * _PEOPLE / _ASKED_PER_SECOND
        # Waking up late is the client's fault, waiting for slow answers is not.
        is_late = time.perf_counter() > due
        time.sleep(max(0.0, due - time.perf_counter()))
        began = due if is_late else time.perf_counter()
        client.ask(method, path, body)
        times.append((name, time.perf_counter() - began))
    client.close()
    return times


def _cpu_seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _milliseconds(seconds: Sequence[float], *wanted: float) -> tuple[Cell, ...]:
    return tuple(1000 * value for value in percentiles(seconds, *wanted))
