"""Handlers that do what their payload says, however bad, and in the end leave one effect."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gristmill.ids import derived_id
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import Completed, NewTask, Outcome, Waiting
from gristmill.tasks.ports import TaskContext
from gristmill.tasks.retry import RetryPolicy
from tests.support.history import effect_of

__all__ = ["FATAL_CODES", "MOODS", "MOODY_KINDS", "Moods", "family", "moody"]

FATAL_CODES = frozenset(
    {"task_parked", "memory_exhausted", "soft_limit_exceeded", "hard_limit_exceeded", "unexpected_error"}
)
"""Why a moody task may fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moods:
    """One mood per lease; after the last, all is well."""

    moods: list[str]
    children: int = 0


def _abort(_: TaskContext) -> None:
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.abort()


def _exit(_: TaskContext) -> None:
    os._exit(3)


def _fail(_: TaskContext) -> None:
    raise RuntimeError("in a bad mood")


def _allocate(_: TaskContext) -> None:
    held = ctypes.create_string_buffer(720 * 1024**2)
    ctypes.memset(held, 1, len(held))
    time.sleep(3600)


def _beget(_: TaskContext) -> None:
    # Nobody waits for them: whoever clears up must find them.
    for _number in range(2):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    os.abort()


def _hang(_: TaskContext) -> None:
    time.sleep(3600)


def _hear_nothing(_: TaskContext) -> None:
    re.fullmatch(r"(a+)+b", "a" * 60)


def _litter(context: TaskContext) -> None:
    (context.temp_dir / "litter").write_bytes(b"\0" * 100_000)


MOODS: Mapping[str, Callable[[TaskContext], None]] = {
    "abort": _abort,
    "exit": _exit,
    "fail": _fail,
    "allocate": _allocate,
    "beget": _beget,
    "hang": _hang,
    "hear_nothing": _hear_nothing,
    "litter": _litter,
}


def moody(context: TaskContext, payload: Moods) -> Outcome:
    """Behaves as it is told for this lease, then leaves its effect."""
    for mood in payload.moods[context.task.lease - 1 : context.task.lease]:
        MOODS[mood](context)
    return Completed(effect=effect_of(context.task))


def family(context: TaskContext, payload: Moods) -> Outcome:
    """Waits for children, each in a mood of its own, then leaves its effect."""
    task = context.task
    if task.checkpoint is not None:
        return Completed(effect=effect_of(task), result={"children": len(context.children())})
    rules = MOODY_KINDS["moody"]
    return Waiting(
        spawn=[
            NewTask(
                id=derived_id(task.id, f"child/{number}"),
                kind=rules.name,
                queue=rules.queue,
                payload={"moods": payload.moods[number : number + 1]},
                parent_id=task.id,
                max_attempts=rules.retry.max_attempts,
                soft_limit_seconds=rules.soft_limit_seconds,
                hard_limit_seconds=rules.hard_limit_seconds,
            )
            for number in range(payload.children)
        ]
    )


MOODY_KINDS: Mapping[str, Kind] = {
    name: Kind(
        name=name,
        payload=Moods,
        soft_limit_seconds=1.5,
        hard_limit_seconds=2.5,
        retry=RetryPolicy(max_attempts=3, base_seconds=0.1, cap_seconds=0.2),
    )
    for name in ("moody", "family")
}
