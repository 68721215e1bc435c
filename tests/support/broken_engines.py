"""Engines with one defect each: the wrong must be found by the suite of the contract, the forgivable be made good by the rows."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gristmill.engines.bell import Bell
from gristmill.engines.broker import BrokerEngine
from gristmill.engines.local import LocalEngine
from gristmill.tasks.model import Completed, Outcome, Task, TaskFilter, TaskState
from gristmill.tasks.ports import Engine, Ready
from tests.contracts.engines import BellEars, Line, LineEars
from tests.support.rig import Ears, WorkerEnd

__all__ = ["BROKEN_ENDS", "BROKEN_ENGINES", "Mute"]


class Mute(LocalEngine):
    """Accepts what it is to tell, and tells nobody."""

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        del tasks

    def revoke(self, task_ids: Sequence[str]) -> None:
        del task_ids


class Strict(LocalEngine):
    """Raises where nobody listens, instead of leaving that to the sweeper."""

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        super().dispatch(tasks)
        raise ConnectionError("nobody listens")


class OneEared(LocalEngine):
    """Tells one listener, and leaves the others asleep."""

    def __init__(self, directory: Path) -> None:
        super().__init__(Bell(directory))
        self._directory = directory

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        del tasks
        for pipe in sorted(self._directory.glob("*.bell"))[:1]:
            end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            os.write(end, b"!")
            os.close(end)


class Misdirected(Line):
    """Delivers ids it was not given: one that nobody knows, and all it ever delivered."""

    def __init__(self) -> None:
        super().__init__()
        self._known: list[str] = []

    def publish(self, tasks: Sequence[Ready]) -> None:
        self.ids.extend([*self._known, "nobody"])
        super().publish(tasks)
        self._known += [task.id for task in tasks]


class Stutterer(Line):
    """Delivers everything twice, which a broker may."""

    def publish(self, tasks: Sequence[Ready]) -> None:
        super().publish(tasks)
        super().publish(tasks)


class Backwards(Line):
    """Delivers the last first, and never what was told first while there is anything else."""

    def publish(self, tasks: Sequence[Ready]) -> None:
        self.ids.extendleft(task.id for task in tasks)


class Unclaimed(WorkerEnd):
    """Runs what it is told to, without asking the row whether it may."""

    def claim(self, ids: Sequence[str] | None) -> list[Task]:
        store = self.rig.store
        waiting = TaskFilter(ids=ids or (), states=[TaskState.PENDING])
        return store.find(waiting, limit=4) if ids is None else store.get_many(ids)

    def execute(self, task: Task) -> None:
        outcome = self.runner.attempt(task, self.context(task), guard=lambda attempt: attempt())
        _apply(self, outcome)
        for held in super().claim([task.id]):
            self.rig.store.finish(task.id, held.lease, _without_effect(outcome))


class LeaseDeaf(WorkerEnd):
    """Hears that its lease is lost, and writes what it has done all the same."""

    def execute(self, task: Task) -> None:
        outcome = self.runner.attempt(task, self.context(task), guard=lambda attempt: attempt())
        if self.rig.store.finish(task.id, task.lease, outcome) is None:
            _apply(self, outcome)


def _apply(end: WorkerEnd, outcome: Outcome) -> None:
    if isinstance(outcome, Completed) and outcome.effect is not None:
        with end.rig.database.write() as tx:
            outcome.effect(tx)


def _without_effect(outcome: Outcome) -> Outcome:
    return replace(outcome, effect=None) if isinstance(outcome, Completed) else outcome


def _on_bell(engine: Callable[[Path], LocalEngine]) -> Callable[[Path], tuple[Engine, Callable[[str], Ears]]]:
    return lambda folder: (engine(folder / "run"), lambda name: BellEars(Bell(folder / "run").listen(name)))


def _on_line(kind: type[Line]) -> Callable[[Path], tuple[Engine, Callable[[str], Ears]]]:
    def open_engine(folder: Path) -> tuple[Engine, Callable[[str], Ears]]:
        line = kind()
        engine = BrokerEngine(line, Bell(folder / "run"))
        return engine, lambda _: LineEars(line, engine)

    return open_engine


BROKEN_ENGINES: Mapping[str, Callable[[Path], tuple[Engine, Callable[[str], Ears]]]] = {
    "Mute": _on_bell(lambda directory: Mute(Bell(directory))),
    "Strict": _on_bell(lambda directory: Strict(Bell(directory))),
    "OneEared": _on_bell(OneEared),
    **{kind.__name__: _on_line(kind) for kind in (Misdirected, Stutterer, Backwards)},
}
"""Defects of the side that tells; opened as those of :data:`tests.contracts.engines.ENGINES`."""

BROKEN_ENDS: Mapping[str, type[WorkerEnd]] = {end.__name__: end for end in (Unclaimed, LeaseDeaf)}
"""Defects of the side that runs."""
