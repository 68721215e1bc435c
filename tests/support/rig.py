"""An engine with both its ends in one process, so that a test can come between any two steps of a delivery."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gristmill.db.database import Database
from gristmill.tasks.context import RunContext
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import Completed, Outcome, Task
from gristmill.tasks.ports import Engine, TaskContext, TaskStore
from gristmill.tasks.runner import Runner
from gristmill.tasks.service import TaskService
from gristmill.tasks.sweeper import Sweeper
from tests.support.clock import TestClock
from tests.support.history import effect_of, effects_in, prepare_effects, what_broke
from tests.support.tasks import new_worker

__all__ = ["Ears", "Rig", "WorkerEnd"]

LEASE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """No arguments."""


KINDS = {"ping": Kind(name="ping", payload=Nothing)}


class Ears(Protocol):
    """What an engine brings to one worker."""

    def arrived(self) -> Sequence[str] | None:
        """The ids that were delivered since the last time; None says to look for whatever is ready."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class WorkerEnd:
    """Where a worker stands: hears of tasks, claims them, runs them with the product's runner, writes what came of it.

    An engine with an execute side of its own puts that into :meth:`claim` and :meth:`execute`.
    """

    def __init__(self, rig: "Rig", name: str, ears: Ears) -> None:
        self.rig = rig
        self.name = name
        self.ears = ears
        self.heard = False
        """Whether anything had arrived at the last look, for nothing perhaps."""
        self.runner = Runner(rig.store, KINDS, {"ping": rig.handle}, rig.clock)

    def work(self, *, unasked: bool = False) -> int:
        """Run what has arrived; how many attempts that was. Every worker also looks ``unasked``, at its leisure."""
        ids = self.ears.arrived()
        if unasked:
            ids = None
        self.heard = ids is None or bool(ids)
        ran = 0
        while ids is None or ids:
            held = self.claim(ids)
            for task in held:
                self.execute(task)
            ran += len(held)
            if ids is not None or not held:
                break
        return ran

    def claim(self, ids: Sequence[str] | None) -> list[Task]:
        """Take the right to run ``ids``, or whatever is ready."""
        return self.rig.store.claim(
            self.name, queues=("default",), kinds=("ping",), engines=[*self.rig.engine.homes], limit=4, ids=ids
        )

    def execute(self, task: Task) -> None:
        """Run one attempt to its end."""
        self.runner.run(task, self.context(task), guard=lambda attempt: attempt())

    def context(self, task: Task) -> RunContext:
        """What the handler sees of the runner."""
        return RunContext(task, self.rig.store, self.rig.clock, temp_dir=Path("unused"))


def _nothing(_: Task) -> None:
    """What happens meanwhile, unless a test says otherwise."""


@dataclass
class Rig:
    """An engine under test, between a service that submits and workers that run."""

    engine: Engine
    database: Database
    store: TaskStore
    clock: TestClock
    listen: Callable[[str], Ears]
    end: type[WorkerEnd] = WorkerEnd
    meanwhile: Callable[[Task], None] = _nothing
    """Called while a task runs, with what its handler was given."""
    alive: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        prepare_effects(self.database)
        self.tasks = TaskService(self.store, self.engine, KINDS, self.clock)
        self.sweeper = Sweeper(
            self.store, self.engine, self.clock, engines=(), lease_seconds=LEASE_SECONDS, history_seconds=3600
        )

    @property
    def home(self) -> str:
        """An engine whose tasks are run here."""
        return self.engine.choose("any")

    def handle(self, context: TaskContext, _: Nothing) -> Outcome:
        """The handler of the one kind there is: its effect says under which lease it ran."""
        self.meanwhile(context.task)
        return Completed(effect=effect_of(context.task))

    @contextmanager
    def worker(self, name: str = "a") -> Iterator[WorkerEnd]:
        """A registered worker that listens."""
        self.store.register_worker(new_worker(name))
        self.alive.append(name)
        ears = self.listen(name)
        try:
            yield self.end(self, name, ears)
        finally:
            ears.close()
            self.alive.remove(name)

    def expire(self, name: str) -> None:
        """Let the sweeper find that the worker ``name`` has not beaten for a lease; the others do beat."""
        for _ in range(5):
            self.clock.pass_time(LEASE_SECONDS / 2)
            for other in self.alive:
                if other != name:
                    self.store.heartbeat(other)
            self.sweeper.sweep()

    def broken(self, accepted: Sequence[Task]) -> list[str]:
        """What the history checker has to say of ``accepted``."""
        return what_broke(self.store, [task.id for task in accepted], effects=effects_in(self.database))
