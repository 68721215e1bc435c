"""Handlers that misbehave, and the slot process that knows them beside those of the product."""

import ctypes
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gristmill.app import Gristmill, open_gristmill
from gristmill.settings import Settings
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import Completed, Outcome
from gristmill.tasks.ports import Handler, TaskContext
from gristmill.tasks.retry import RetryPolicy
from gristmill.worker import build, slot
from tests.support.errands import ERRAND_KINDS, errand
from tests.support.history import effect_of
from tests.support.moods import MOODY_KINDS, family, moody

__all__ = ["SLOT_COMMAND", "TEST_KINDS", "main", "open_with_test_kinds", "payload"]

SLOT_COMMAND = (sys.executable, "-m", "tests.support.handlers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where a handler leaves marks, so that a test sees how far it came."""

    folder: str


def payload(folder: Path) -> dict[str, Any]:
    """The payload of every test kind."""
    return {"folder": str(folder)}


def _mark(trace: Trace, name: str, text: str = "") -> None:
    # Renamed into place: who sees the file sees all of it.
    fresh = Path(trace.folder) / f".{name}-{os.getpid()}"
    fresh.write_text(text, encoding="utf-8")
    fresh.rename(Path(trace.folder) / name)


def patient(context: TaskContext, trace: Trace) -> Outcome:
    """Waits, ready to stop, until the test lets it end."""
    (context.temp_dir / "material").write_text("half done", encoding="utf-8")
    _mark(trace, f"started-{context.task.lease}", f"{os.getpid()} {context.temp_dir}")
    while not (Path(trace.folder) / "go").exists():
        context.check()
        time.sleep(0.01)
    return Completed(result={"lease": context.task.lease})


def deaf(context: TaskContext, trace: Trace) -> Outcome:
    """Runs in C for ever, holding the interpreter's lock and never looking at signals."""
    (context.temp_dir / "material").write_text("half done", encoding="utf-8")
    _mark(trace, f"started-{context.task.lease}", f"{os.getpid()} {context.temp_dir}")
    deque(itertools.repeat(None), maxlen=0)
    return Completed()


def backtracking(context: TaskContext, trace: Trace) -> Outcome:
    """Tries a pattern on a text for which it takes ages, in C, holding the interpreter's lock all the while."""
    (context.temp_dir / "material").write_text("half done", encoding="utf-8")
    _mark(trace, f"started-{context.task.lease}", f"{os.getpid()} {context.temp_dir}")
    return Completed(result={"found": bool(re.fullmatch(r"(a+)+b", "a" * 60))})


def sleepy(context: TaskContext, trace: Trace) -> Outcome:
    """Sleeps without ever asking whether to stop."""
    _mark(trace, f"started-{context.task.lease}", str(os.getpid()))
    time.sleep(3600)
    return Completed()


def crashing(context: TaskContext, trace: Trace) -> Outcome:
    """Takes its process down."""
    _mark(trace, f"started-{context.task.lease}", str(os.getpid()))
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.abort()


def hungry(context: TaskContext, trace: Trace) -> Outcome:
    """Asks for more memory than there may be, at once."""
    _mark(trace, f"started-{context.task.lease}", str(os.getpid()))
    return Completed(result={"size": len(bytearray(64 * 1024**3))})


def swelling(context: TaskContext, trace: Trace) -> Outcome:
    """Takes more real memory than it may, and keeps it without ever asking whether to stop."""
    _mark(trace, f"started-{context.task.lease}", str(os.getpid()))
    size = 720 * 1024**2
    held = ctypes.create_string_buffer(size)
    ctypes.memset(held, 1, size)
    time.sleep(3600)
    return Completed(result={"size": len(held)})


def parental(context: TaskContext, trace: Trace) -> Outcome:
    """Starts a process of its own and waits for it."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]) as child:
        _mark(trace, f"started-{context.task.lease}", f"{os.getpid()} {child.pid}")
    return Completed()


def counted(context: TaskContext, trace: Trace) -> Outcome:
    """Works for a moment, and leaves one row in the transaction that ends it; see :mod:`tests.support.history`."""
    for _ in range(context.task.number % 7):
        context.check()
        time.sleep(0.01)
    return Completed(effect=effect_of(context.task))


_HANDLERS: Mapping[str, Callable[[TaskContext, Trace], Outcome]] = {
    handler.__name__: handler
    for handler in (patient, deaf, backtracking, sleepy, crashing, hungry, swelling, parental, counted)
}

TEST_KINDS: Mapping[str, Kind] = {
    name: Kind(
        name=name,
        payload=Trace,
        soft_limit_seconds=30.0,
        hard_limit_seconds=60.0,
        retry=RetryPolicy(max_attempts=2, base_seconds=0.0, cap_seconds=0.0),
    )
    for name in _HANDLERS
} | {**MOODY_KINDS, **ERRAND_KINDS}


def open_with_test_kinds(settings: Settings) -> Gristmill:
    """A Gristmill that accepts and runs the test kinds too."""
    app = open_gristmill(settings)
    # Where the cached property keeps its value.
    app.__dict__["kinds"] = {**app.kinds, **TEST_KINDS}
    return app


def _all_handlers(app: Gristmill) -> Mapping[str, Handler]:
    handlers = build.build_handlers(app)
    images = {"generate_embeddings": _evil_images(app, handlers["generate_embeddings"])}
    return {**handlers, **images, **_HANDLERS, "moody": moody, "family": family, "errand": errand}


def _evil_images(app: Gristmill, embed: Handler) -> Handler:
    """Stands for decoders that crash or hang: of an image called ``killer`` or ``sleeper``."""

    def run(context: TaskContext, payload: Any) -> Any:
        names = {document.name for document in app.index.documents_by_id(payload.images).values()}
        if "killer.jpg" in names:
            signal.signal(signal.SIGABRT, signal.SIG_DFL)
            os.abort()
        if "sleeper.jpg" in names:
            time.sleep(3600)
        return embed(context, payload)

    return run


def main() -> None:
    """A slot of the product with these handlers added."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slot, "open_gristmill", open_with_test_kinds)
        patch.setattr(slot, "build_handlers", _all_handlers)
        slot.main()


if __name__ == "__main__":
    main()
