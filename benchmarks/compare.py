"""The same faults under bare Celery, bare RQ and Gristmill on both: what became of the tasks.

Each fault is brought about for real, on a broker of its own. Celery and RQ run as their documentation starts them.
"""

import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis

from benchmarks.support import Options, Table
from gristmill.bench.bare import BareCelery, BareRq
from gristmill.bench.broker import broker
from gristmill.bench.contender import Contender, add_worker
from gristmill.bench.run import PATIENCE_SECONDS, time_to_recover
from gristmill.bench.tracked import Tracked

__all__ = ["run"]

_LEASE_SECONDS = 2.0
_SWEEP_SECONDS = 1.0
_WAITING = 100
_NAP_SECONDS = 0.02
_SUBMIT_SECONDS = 10.0
_QUIET_SECONDS = 3.0
"""Nothing has ended for this long: nothing more will."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """One contender on a broker that may be broken."""

    contender: Contender
    redis: "redis.Redis"
    server: psutil.Process


Fault = Callable[[_Scene], str]


def run(options: Options) -> Iterator[Table]:
    """One table: a row for each fault, a column for each contender."""
    names = ("bare celery", "bare rq", "celery", "rq")
    rows = []
    for said, fault in _FAULTS.items():
        answers = []
        for name in names:
            with _scene(name) as scene:
                answers.append(fault(scene))
        rows.append((said, *answers))
        if options.quick:
            break
    yield Table(
        title="The same fault, side by side",
        head=("fault", "Celery alone", "RQ alone", "Gristmill on Celery", "Gristmill on RQ"),
        rows=rows,
        note=(
            f"Two slots; lease {_LEASE_SECONDS:g} s and sweep {_SWEEP_SECONDS:g} s for Gristmill, defaults for the others. "
            f"“Not within {PATIENCE_SECONDS:.0f} s” is where the measurement ends, not where the wait does."
        ),
    )


@contextmanager
def _scene(name: str) -> Iterator[_Scene]:
    with tempfile.TemporaryDirectory(prefix="gristmill-compare-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        with broker(folder / "redis") as url:
            contender: Contender
            match name:
                case "bare celery":
                    contender = BareCelery(folder / "work", url)
                case "bare rq":
                    contender = BareRq(folder / "work", url)
                case _:
                    contender = Tracked(
                        name, folder / "work", url, lease_seconds=_LEASE_SECONDS, sweep_seconds=_SWEEP_SECONDS
                    )
            try:
                client = redis.Redis.from_url(url, socket_timeout=5)
                yield _Scene(contender, client, psutil.Process(client.info()["process_id"]))
            finally:
                contender.close()


def _worker_killed(scene: _Scene) -> str:
    add_worker(scene.contender, slots=1)
    seconds = time_to_recover(scene.contender)
    return f"not within {PATIENCE_SECONDS:.0f} s" if seconds is None else f"runs again after {seconds:.1f} s"


def _flushed(scene: _Scene) -> str:
    contender = scene.contender
    add_worker(contender, slots=2)
    contender.begin()
    contender.submit(_NAP_SECONDS, _WAITING)
    scene.redis.flushall()
    return _how_many_end(contender)


def _broker_killed(scene: _Scene) -> str:
    contender = scene.contender
    add_worker(contender, slots=2)
    contender.begin()
    contender.submit(_NAP_SECONDS, _WAITING)
    # Its program and port; without its directory it starts empty.
    port = scene.redis.connection_pool.connection_kwargs["port"]
    command = [scene.server.exe(), "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    scene.server.kill()
    _until(lambda: not scene.server.is_running() or scene.server.status() == psutil.STATUS_ZOMBIE, 5)
    again = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return _how_many_end(contender)
    finally:
        again.kill()
        again.wait()


def _submitted_while_away(scene: _Scene) -> str:
    contender = scene.contender
    add_worker(contender, slots=2)
    contender.begin()
    scene.server.kill()
    taken: list[str] = []

    def submit() -> None:
        began = time.monotonic()
        try:
            contender.submit(0.0, 1)
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is told
            taken.append(f"raises {type(error).__name__} after {time.monotonic() - began:.1f} s")
        else:
            taken.append(f"accepted in {1000 * (time.monotonic() - began):.0f} ms")

    thread = threading.Thread(target=submit, daemon=True)
    thread.start()
    thread.join(_SUBMIT_SECONDS)
    if not taken:
        return f"no answer within {_SUBMIT_SECONDS:.0f} s"
    if taken[0].startswith("raises"):
        return taken[0]
    runs = _until(lambda: contender.ended() == 1, 10)
    return f"{taken[0]}, {'runs meanwhile' if runs else 'does not run'}"


def _broker_stands_still(scene: _Scene) -> str:
    contender = scene.contender
    add_worker(contender, slots=2)
    contender.begin()
    scene.server.send_signal(signal.SIGSTOP)
    try:
        return _submitted_silently(contender)
    finally:
        scene.server.send_signal(signal.SIGCONT)


def _submitted_silently(contender: Contender) -> str:
    done = threading.Event()

    def submit() -> None:
        contender.submit(0.0, 1)
        done.set()

    began = time.monotonic()
    threading.Thread(target=submit, daemon=True).start()
    if not done.wait(_SUBMIT_SECONDS):
        return f"submitting hangs, {_SUBMIT_SECONDS:.0f} s and more"
    accepted = f"accepted in {1000 * (time.monotonic() - began):.0f} ms"
    return f"{accepted}, {'runs meanwhile' if _until(lambda: contender.ended() == 1, 10) else 'does not run'}"


def _how_many_end(contender: Contender) -> str:
    _settled(contender)
    return f"{contender.ended()} of {_WAITING} end"


def _settled(contender: Contender) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    ended, since = contender.ended(), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < 4 * _QUIET_SECONDS:
        now = contender.ended()
        if now != ended:
            ended, since = now, time.monotonic()
        if ended >= _WAITING:
            return
        time.sleep(0.05)


def _until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


_FAULTS: dict[str, Fault] = {
    "its worker is killed (SIGKILL) while a task runs": _worker_killed,
    f"FLUSHALL with {_WAITING} tasks waiting": _flushed,
    f"the broker is killed with {_WAITING} tasks waiting, and starts empty": _broker_killed,
    "a task is submitted while the broker is away": _submitted_while_away,
    "a task is submitted while the broker stands still": _broker_stands_still,
}
