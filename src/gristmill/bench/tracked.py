"""Gristmill itself with one engine, through the same commands that users start it with."""

from pathlib import Path

from gristmill.app import Gristmill, open_gristmill
from gristmill.bench.contender import Processes
from gristmill.settings import load_settings
from gristmill.tasks.model import TaskFilter

__all__ = ["Tracked"]

_BATCH = 100
"""Tasks handed in together, as whoever indexes a folder does."""


class Tracked:
    """One engine over a data directory, or a database, of its own."""

    def __init__(
        self,
        engine: str,
        folder: Path,
        redis_url: str,
        *,
        database_url: str | None = None,
        lease_seconds: float,
        sweep_seconds: float,
    ) -> None:
        self.name = engine
        self._engine = engine
        settings = {
            "redis": {"url": None if engine == "local" else redis_url},
            "engine": {"name": engine},
            "database": {"url": database_url},
            "tasks": {"lease_seconds": lease_seconds, "sweep_seconds": sweep_seconds},
        }
        self.app: Gristmill = open_gristmill(load_settings(data=folder, overrides=settings, environ={}))
        environment = {
            "GRISTMILL_DATA": str(folder),
            "GRISTMILL_TASKS__LEASE_SECONDS": str(lease_seconds),
            "GRISTMILL_TASKS__SWEEP_SECONDS": str(sweep_seconds),
            "GRISTMILL_ENGINE__NAME": engine,
            "GRISTMILL_REDIS__URL": "" if engine == "local" else redis_url,
            "GRISTMILL_DATABASE__URL": database_url or "",
        }
        self.processes = Processes(folder / "logs" / "worker.log", environment)
        self._after = 0
        self.slots = 0
        self._submitted: list[str] = []

    def start_worker(self, *, slots: int) -> None:
        self.processes.start("gristmill.cli.main", ["worker", "--engine", self._engine, "--concurrency", str(slots)])

    def begin(self) -> None:
        latest = self.app.store.find(TaskFilter(), limit=1)
        self._after = self.app.clock.now() if latest else 0
        self._submitted = []

    def submit(self, seconds: float, count: int) -> None:
        for start in range(0, count, _BATCH):
            drafts = [self.app.tasks.draft("ping", {"seconds": seconds}) for _ in range(min(_BATCH, count - start))]
            self._submitted += [task.id for task in self.app.tasks.submit_all(drafts)]

    def ended(self) -> int:
        counts = self.app.tasks.counts(TaskFilter(created_after=self._after))
        return sum(count for state, count in counts.items() if state.is_final)

    def runners(self) -> list[int]:
        pids = {worker.id: worker.pid for worker in self.app.store.workers()}
        events = [event for task_id in self._submitted for event in self.app.tasks.events(task_id)]
        return [pids.get(event.worker_id or "", 0) for event in events if event.name == "claimed"]

    def close(self) -> None:
        self.processes.close()
        self.app.close()
