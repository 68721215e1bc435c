"""Named places where tests make the program fail for real: die, stop, or raise, exactly there.

Inert unless ``GRISTMILL_FAILPOINT`` is set when the process starts, for example ``after_claim:kill`` or, for the
second time only that this process comes by, ``after_claim:kill@2``; several are separated by commas.
"""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["DEEDS", "NAMES", "InjectedFault", "arm", "failpoint"]

NAMES: Mapping[str, str] = {
    "before_accept": "A request was checked; its tasks are not written yet.",
    "after_accept": "Its tasks are durable; no worker was told, no answer was sent.",
    "after_dispatch": "Workers were told; no answer was sent.",
    "after_claim": "A slot holds a task that has not started.",
    "before_finish": "The handler is done; nothing of its outcome is written.",
    "after_finish": "The outcome is durable; the slot has not told its supervisor.",
    "between_generations": "Some children of a task that is to wait for them are durable, others not written.",
    "before_stage": "The next chunks of a document are ready, and not written.",
    "between_stages": "Chunks are written in a version that nobody sees; durable, unless they are the whole document.",
    "before_publish": "Inside the transaction that ends the task; the version is not published.",
    "after_publish": "Inside the same transaction; the version is published, nothing is committed.",
    "between_pointers": "Inside the transaction that restores a collection; some documents are as they were then.",
    "before_fire": "A tick of a schedule is due and its task drafted; nothing is written.",
    "mid_fire": "Inside the transaction of a tick; its task is added, the schedule not moved on.",
    "after_fire": "The task of a tick is durable; no worker was told.",
    "mid_sweep": "A duty of the sweeper is done; the next has not begun.",
}
"""Where the program can be made to fail, and what has happened by then."""


class InjectedFault(Exception):
    """Raised by a failpoint whose deed is ``raise``."""


def _raise(name: str) -> None:
    raise InjectedFault(name)


DEEDS: Mapping[str, Callable[[str], None]] = {
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "abort": lambda _: os.abort(),
    "exit": lambda _: os._exit(70),
    "pause": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "raise": _raise,
}
"""What a failpoint can do to its process."""


@dataclass(slots=True)
class _Armed:
    deed: Callable[[str], None]
    only: int | None
    """Which time it strikes; without it, every time."""
    passed: int = 0


_armed: Mapping[str, _Armed] = {}


def arm(specification: str) -> None:
    """Make failpoints strike as ``specification`` says; an empty one disarms all.

    :class:`ValueError` for a name or deed that does not exist: a test that injects nothing must not pass.
    """
    global _armed  # noqa: PLW0603 - one check of one global is what a failpoint costs where none is armed
    armed: dict[str, _Armed] = {}
    for part in filter(None, (part.strip() for part in specification.split(","))):
        name, _, rest = part.partition(":")
        deed, _, only = rest.partition("@")
        if name not in NAMES or deed not in DEEDS:
            raise ValueError(f"GRISTMILL_FAILPOINT: {part}; names: {', '.join(NAMES)}; deeds: {', '.join(DEEDS)}")
        armed[name] = _Armed(DEEDS[deed], int(only) if only else None)
    _armed = armed


def failpoint(name: str) -> None:
    """Fail here if ``name`` is armed."""
    if _armed and (armed := _armed.get(name)) is not None:
        armed.passed += 1
        if armed.only in (None, armed.passed):
            armed.deed(name)


arm(os.environ.get("GRISTMILL_FAILPOINT", ""))
