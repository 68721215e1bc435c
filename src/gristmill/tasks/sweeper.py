"""The repair pass: gives back what dead workers held, wakes what is due, moves what its engine cannot run, tidies.

Any number of sweepers may run; every duty is a guarded change that a second one finds already made.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from gristmill.clock import Clock
from gristmill.errors import GristmillError, Unavailable
from gristmill.failpoints import failpoint
from gristmill.logs import get_log
from gristmill.tasks.model import Lost, Worker
from gristmill.tasks.ports import Engine, TaskStore

__all__ = ["Duty", "Sweeper", "WorkerWatch"]

_log = get_log(__name__)

_REASSIGN_BATCH = 1000
_REASSIGN_SECONDS = 2.0
"""How long one sweep moves tasks at most; the rest is moved by the next."""
_PURGE_BATCH = 500


class WorkerWatch:
    """Tells which workers have died: those whose beat stands still for a whole lease on *this* process's clock.

    No two clocks are ever compared, so neither a jump of the time nor skew between machines can expire a lease.
    """

    def __init__(self, clock: Clock, *, lease_seconds: float) -> None:
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked_at = float("-inf")

    def dead(self, workers: Sequence[Worker]) -> list[Worker]:
        """Those of ``workers`` that have not beaten for a lease."""
        now = self._clock.monotonic()
        if now - self._looked_at > self._lease_seconds:
            # We were not looking ourselves for so long, so standing still means nothing: watch anew.
            self._seen = {}
        self._looked_at = now
        seen: dict[str, tuple[int, float]] = {}
        dead = []
        for worker in workers:
            beat, since = self._seen.get(worker.id, (worker.beat, now))
            if beat != worker.beat:
                since = now
            seen[worker.id] = (worker.beat, since)
            if now - since >= self._lease_seconds:
                dead.append(worker)
        self._seen = seen
        return dead

    def forget(self) -> None:
        """Begin anew: whatever was seen so far says nothing."""
        self._seen = {}


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do at every sweep; returns how much there was to do."""

    name: str
    run: Callable[[], int]


class Sweeper:
    """Carries out its duties; one that fails does not stop the others. ``record`` is told what each sweep had to do."""

    def __init__(
        self,
        store: TaskStore,
        engine: Engine,
        clock: Clock,
        *,
        engines: Collection[str],
        lease_seconds: float,
        history_seconds: float,
        extra: Sequence[Duty] = (),
        record: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._engine = engine
        self._engines = frozenset(engines)
        self._clock = clock
        self._watch = WorkerWatch(clock, lease_seconds=lease_seconds)
        self._patience_seconds = lease_seconds / 8
        self._history = int(history_seconds * 1_000_000)
        self._record = record
        self._duties = (
            Duty("workers.expired", self._expire),
            Duty("tasks.promoted", self._promote),
            Duty("tasks.reassigned", self.reassign),
            Duty("items.purged", store.purge_items),
            Duty("history.purged", self._purge),
            *extra,
        )

    def sweep(self) -> dict[str, int]:
        """Do every duty once; what each had to do, where it had something."""
        done: dict[str, int] = {}
        for duty in self._duties:
            failpoint("mid_sweep")
            try:
                count = duty.run()
            except GristmillError as error:
                _log.warning("sweep.failed", duty=duty.name, error=str(error))
                continue
            if count:
                done[duty.name] = count
                _log.info(duty.name, count=count)
        try:
            self._record(done)
        except GristmillError as error:
            _log.warning("sweep.unrecorded", error=str(error))
        return done

    def _expire(self) -> int:
        try:
            workers = self._store.workers()
        except Unavailable:
            # Nor could they beat; what stood still meanwhile says nothing.
            self._watch.forget()
            raise
        dead = self._watch.dead(workers)
        if dead and not self._could_write():
            # Nor could they: a beat that could not be written is no death.
            self._watch.forget()
            return 0
        returned = [
            task for worker in dead for task in self._store.remove_worker(worker.id, Lost(reason="heartbeat stopped"))
        ]
        if returned:
            self._engine.dispatch(returned)
        return len(dead)

    def _could_write(self) -> bool:
        """Whether a write, of nothing, gets its turn soon."""
        asked = self._clock.monotonic()
        try:
            self._store.heartbeat("")
        except Unavailable:
            return False
        return self._clock.monotonic() - asked < self._patience_seconds

    def _promote(self) -> int:
        promoted = self._store.promote_due()
        if promoted:
            self._engine.dispatch([])
        return promoted

    def reassign(self) -> int:
        """Give waiting tasks of engines that run nothing now to those that do; how many were moved."""
        until = self._clock.monotonic() + _REASSIGN_SECONDS
        moved = 0
        for engine in self._engines.difference(self._engine.homes):
            while batch := self._store.reassign(engine, self._engine.choose, limit=_REASSIGN_BATCH):
                self._engine.dispatch(batch)
                moved += len(batch)
                if self._clock.monotonic() > until:
                    return moved
        return moved

    def _purge(self) -> int:
        return self._store.purge(finished_before=self._clock.now() - self._history, limit=_PURGE_BATCH)
