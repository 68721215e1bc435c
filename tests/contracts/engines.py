"""The engines that the contract is tested on: a new engine is one more entry of ``ENGINES``."""

import select
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gristmill.engines.bell import Bell, Listener
from gristmill.engines.broker import BrokerEngine
from gristmill.engines.local import LocalEngine
from gristmill.engines.redis import connect
from gristmill.engines.rq import RqBroker, rq_queue
from gristmill.errors import Unavailable
from gristmill.settings.model import RedisSettings
from gristmill.tasks.ports import Engine, Ready
from tests.support.rig import Ears
from tests.support.valkey import fresh_broker

__all__ = ["ENGINES", "BellEars", "Line", "LineEars", "RqEars"]


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


class Line:
    """The least broker: a line of ids, each for whoever takes it first."""

    name = "line"

    def __init__(self) -> None:
        self.ids: deque[str] = deque()
        self.fault: Unavailable | None = None

    def publish(self, tasks: Sequence[Ready]) -> None:
        self.ping()
        self.ids.extend(task.id for task in tasks)

    def ping(self) -> None:
        if self.fault is not None:
            raise self.fault

    def close(self) -> None:
        """Nothing is open."""


class LineEars:
    """The ears of a worker that is handed one id after the other."""

    def __init__(self, line: Line, engine: BrokerEngine) -> None:
        self._line = line
        self._engine = engine

    def arrived(self) -> Sequence[str] | None:
        self._engine.flush()
        return [self._line.ids.popleft()] if self._line.ids else []

    def close(self) -> None:
        """Nothing is open."""


class RqEars:
    """The ears of a worker of RQ, which takes one job after the other."""

    def __init__(self, engine: BrokerEngine, settings: RedisSettings) -> None:
        self._engine = engine
        self._connection = connect(settings)
        self._queue = rq_queue("default", self._connection)

    def arrived(self) -> Sequence[str] | None:
        self._engine.flush()
        taken: Any = self._connection.lpop(self._queue.key)
        return [] if taken is None else [taken.decode()]

    def close(self) -> None:
        self._engine.close()
        self._connection.close()


def _local(folder: Path) -> tuple[Engine, Callable[[str], Ears]]:
    bell = Bell(folder / "run")
    return LocalEngine(bell), lambda name: BellEars(bell.listen(name))


def _broker(folder: Path) -> tuple[Engine, Callable[[str], Ears]]:
    line = Line()
    engine = BrokerEngine(line, Bell(folder / "run"))
    return engine, lambda _: LineEars(line, engine)


def _rq(folder: Path) -> tuple[Engine, Callable[[str], Ears]]:
    settings = RedisSettings(url=SecretStr(fresh_broker()))
    engine = BrokerEngine(RqBroker(settings), Bell(folder / "run"))
    return engine, lambda _: RqEars(engine, settings)


ENGINES: Mapping[str, Callable[[Path], tuple[Engine, Callable[[str], Ears]]]] = {
    "local": _local,
    "broker": _broker,
    "rq": _rq,
}
"""Opens an engine with what it keeps on disk in a folder, and the way to listen to it."""
