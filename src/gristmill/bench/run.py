"""Runs the comparison: every contender alone, on the same broker, with the same number of slots."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from gristmill.bench.bare import BareCelery, BareRq
from gristmill.bench.broker import broker
from gristmill.bench.contender import Contender, add_worker, until
from gristmill.bench.report import Measured, Recovered, Report
from gristmill.bench.tracked import Tracked

__all__ = ["CONTENDERS", "OURS", "PATIENCE_SECONDS", "compare", "time_to_recover"]

_LOOK_SECONDS = 0.005
_LATENCY_ROUNDS = 20
_LONG_SECONDS = 8.0
"""The task that is killed: it is running when that happens, and does not take for ever when it runs again."""
PATIENCE_SECONDS = 40.0
_STUCK_SECONDS = 600.0

OURS = ("local", "celery", "rq")
CONTENDERS = (*OURS, "bare celery", "bare rq")


def compare(
    *,
    contenders: Sequence[str] = CONTENDERS,
    counts: Sequence[int],
    task_seconds: Sequence[float],
    slots: int,
    recovery: bool = True,
    database_url: str | None = None,
    lease_seconds: float = 2.0,
    sweep_seconds: float = 1.0,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Measure ``contenders``; ``say`` hears what is under way.

    ``database_url`` names an empty database for ours instead of SQLite; lease and sweep are those of ours. Takes about
    as long as all tasks take.
    """
    report = Report(slots=slots)
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        with broker(folder / "redis") as url:
            ours = partial(Tracked, database_url=database_url, lease_seconds=lease_seconds, sweep_seconds=sweep_seconds)
            for name in contenders:
                with _opened(name, folder, url, ours) as contender:
                    add_worker(contender, slots=slots)
                    for seconds in task_seconds:
                        for count in counts:
                            say(f"{name}: {count} x {seconds * 1000:.0f} ms")
                            report.measured.append(_measure(contender, name, seconds, count))
                    latency = _latency(contender)
                    recovered = None
                    if recovery:
                        say(f"{name}: worker killed")
                        recovered = time_to_recover(contender)
                    report.recovered.append(
                        Recovered(
                            contender=name,
                            latency_ms=latency,
                            recovery_seconds=recovered,
                            patience_seconds=PATIENCE_SECONDS,
                        )
                    )
    return report


@contextmanager
def _opened(
    name: str, folder: Path, redis_url: str, ours: Callable[[str, Path, str], Tracked]
) -> "Iterator[Contender]":
    place = folder / name.replace(" ", "-")
    contender: Contender
    match name:
        case "bare celery":
            contender = BareCelery(place, redis_url)
        case "bare rq":
            contender = BareRq(place, redis_url)
        case _:
            contender = ours(name, place, redis_url)
    try:
        yield contender
    finally:
        contender.close()


def _measure(contender: Contender, name: str, seconds: float, count: int) -> Measured:
    contender.begin()
    cpu = contender.processes.cpu_seconds()
    memory = contender.processes.memory_mb()
    began = time.monotonic()
    contender.submit(seconds, count)
    submitted = time.monotonic()
    _until_ended(contender, count)
    ended = time.monotonic()
    return Measured(
        contender=name,
        task_seconds=seconds,
        tasks=count,
        submit_seconds=submitted - began,
        seconds=ended - began,
        cpu_ms_per_task=(contender.processes.cpu_seconds() - cpu) / count * 1000,
        memory_mb=max(memory, contender.processes.memory_mb()),
    )


def _latency(contender: Contender) -> float:
    taken = []
    for _ in range(_LATENCY_ROUNDS):
        contender.begin()
        began = time.monotonic()
        contender.submit(0.0, 1)
        _until_ended(contender, 1, look=0.0005)
        taken.append(time.monotonic() - began)
    return statistics.median(taken) * 1000


def time_to_recover(contender: Contender) -> float | None:
    """Seconds until a task whose worker is killed runs again, in another one that has nothing to do."""
    add_worker(contender, slots=1)
    contender.begin()
    contender.submit(_LONG_SECONDS, 1)
    until(lambda: bool(contender.runners()), _STUCK_SECONDS, look=_LOOK_SECONDS)
    contender.processes.kill_with(contender.runners()[0])
    killed = time.monotonic()
    try:
        until(lambda: len(contender.runners()) > 1, PATIENCE_SECONDS, look=_LOOK_SECONDS)
    except TimeoutError:
        return None
    return time.monotonic() - killed


def _until_ended(contender: Contender, count: int, *, look: float = _LOOK_SECONDS) -> None:
    until(lambda: contender.ended() >= count, _STUCK_SECONDS, look=look)
