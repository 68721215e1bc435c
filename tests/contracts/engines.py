"""The engines that the contract is tested on: a new engine is one more entry of ``ENGINES``."""

import select
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gristmill.engines.bell import Bell, Listener
from gristmill.engines.local import LocalEngine
from gristmill.tasks.model import Task
from gristmill.tasks.ports import Engine
from tests.support.rig import Ears

__all__ = ["ENGINES", "BellEars", "PushEars", "PushEngine"]


class BellEars:
    """The ears of a worker that looks for itself when the bell rings."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def arrived(self) -> Sequence[str] | None:
        if not select.select([self._listener], [], [], 0)[0]:
            return []
        self._listener.clear()
        return None

    def close(self) -> None:
        self._listener.close()


class PushEngine:
    """The least engine that pushes: a line of ids, each for whoever takes it first.

    Stands for every engine with a broker, so that what the contract says of those is tried without one as well.
    """

    def __init__(self) -> None:
        self.line: deque[str] = deque()

    @property
    def name(self) -> str:
        return "push"

    @property
    def pulls(self) -> bool:
        return False

    def dispatch(self, tasks: Sequence[Task]) -> None:
        self.line.extend(task.id for task in tasks)

    def revoke(self, task_ids: Sequence[str]) -> None:
        del task_ids

    def health(self) -> Mapping[str, Any]:
        return {"ok": True, "reason": None}


class PushEars:
    """The ears of a worker that is handed one id after the other."""

    def __init__(self, engine: PushEngine) -> None:
        self._engine = engine

    def arrived(self) -> Sequence[str] | None:
        line = self._engine.line
        return [line.popleft()] if line else []

    def close(self) -> None:
        """Nothing is open."""


def _local(folder: Path) -> tuple[Engine, Callable[[str], Ears]]:
    bell = Bell(folder / "run")
    return LocalEngine(bell), lambda name: BellEars(bell.listen(name))


def _push(_: Path) -> tuple[Engine, Callable[[str], Ears]]:
    engine = PushEngine()
    return engine, lambda _: PushEars(engine)


ENGINES: Mapping[str, Callable[[Path], tuple[Engine, Callable[[str], Ears]]]] = {"local": _local, "push": _push}
"""Opens an engine with what it keeps on disk in a folder, and the way to listen to it."""
