"""Gathers the values of all metrics from the rows, for whichever process is asked: each would find the same."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gristmill
from gristmill.clock import Clock
from gristmill.db.alerts import Alerts
from gristmill.db.totals import BOUNDS, CRASHED, LEASE_LOST, Series, Times, TotalCounts, Totals
from gristmill.kinds import QUEUES
from gristmill.monitoring.metrics import Reading, Sample, Spread, exposition
from gristmill.monitoring.monitor import Depth, Monitor

__all__ = ["Metrics"]

_REMEMBERED_SECONDS = 5.0
"""Several monitors may ask; that one was told shortly before is new enough for the next."""

_ENDED = {"completed": "completed", "failed": "failed", "parked": "failed", "cancelled": "cancelled"}


class Metrics:
    """The metrics of one Gristmill."""

    def __init__(
        self,
        monitor: Monitor,
        totals: Totals,
        alerts: Alerts,
        engine: Callable[[], tuple[str, Mapping[str, Any]]],
        clock: Clock,
    ) -> None:
        self._monitor = monitor
        self._totals = totals
        self._alerts = alerts
        self._engine = engine
        """The name of the engine in force, and its health."""
        self._clock = clock
        self._lock = threading.Lock()
        self._text = ""
        self._read_at = float("-inf")

    def text(self) -> str:
        """All of them as Prometheus reads them, at most a few seconds old."""
        with self._lock:
            now = self._clock.monotonic()
            if now - self._read_at > _REMEMBERED_SECONDS:
                self._text = exposition(dict(self._readings()))
                self._read_at = now
            return self._text

    def _readings(self) -> Iterator[tuple[str, Reading]]:
        yield "gristmill_info", [Sample(1, (gristmill.__version__,))]
        yield from self._of_queues(self._monitor.depths())
        yield from self._of_workers()
        name, health = self._engine()
        yield "gristmill_engine_up", [Sample(int(health["ok"]), (name,))]
        firing = Counter((alert.rule, alert.severity) for alert in self._alerts.firing())
        yield "gristmill_alerts_firing", [Sample(count, labels) for labels, count in sorted(firing.items())]
        yield from self._of_history(self._totals.read())

    def _of_queues(self, depths: Sequence[Depth]) -> Iterator[tuple[str, Reading]]:
        now = self._clock.now()
        pending = sum(depth.ready + depth.scheduled for depth in depths)
        active = sum(depth.active for depth in depths)
        yield "gristmill_tasks", [Sample(pending, ("pending",)), Sample(active, ("processing",))]
        queues: dict[str, list[Depth]] = {queue: [] for queue in QUEUES}
        for depth in depths:
            queues.setdefault(depth.queue, []).append(depth)
        yield (
            "gristmill_queue_ready_tasks",
            [Sample(sum(depth.ready for depth in mine), (queue,)) for queue, mine in queues.items()],
        )
        yield (
            "gristmill_queue_scheduled_tasks",
            [Sample(sum(depth.scheduled for depth in mine), (queue,)) for queue, mine in queues.items()],
        )
        yield (
            "gristmill_queue_active_tasks",
            [Sample(sum(depth.active for depth in mine), (queue,)) for queue, mine in queues.items()],
        )
        yield (
            "gristmill_queue_oldest_seconds",
            [
                Sample(max([_age(depth.oldest_ready_at, now) for depth in mine], default=0.0), (queue,))
                for queue, mine in queues.items()
            ],
        )
        engines = sorted({depth.engine for depth in depths})
        yield (
            "gristmill_engine_ready_tasks",
            [Sample(sum(depth.ready for depth in depths if depth.engine == engine), (engine,)) for engine in engines],
        )

    def _of_workers(self) -> Iterator[tuple[str, Reading]]:
        now = self._clock.now()
        seen = self._monitor.workers()
        yield "gristmill_workers", [Sample(len(seen))]
        yield "gristmill_live_workers", [Sample(sum(worker.alive for worker in seen))]
        yield "gristmill_worker_slots", [Sample(sum(one.worker.slots for one in seen))]
        yield (
            "gristmill_worker_beat_age_seconds",
            [Sample(_age(one.worker.beat_at, now), (one.worker.name,)) for one in seen],
        )

    @staticmethod
    def _of_history(totals: TotalCounts) -> Iterator[tuple[str, Reading]]:
        submitted: Counter[str] = Counter()
        ended: Counter[tuple[str, str, str]] = Counter()
        retries: Counter[tuple[str, str]] = Counter()
        crashes: Counter[tuple[str, str]] = Counter()
        losses: Counter[tuple[str, str]] = Counter()
        for (series, event), count in totals.events.items():
            who = (series.kind, series.engine)
            for counts in (retries, crashes, losses):
                # A series that begins with its first event hides that event from whoever asks for an increase.
                counts[who] += 0
            if event == "submitted":
                submitted[series.kind] += count
            if event in _ENDED:
                ended[(*who, _ENDED[event])] += count
            if event == "retry_scheduled":
                retries[who] += count
            if event == CRASHED:
                crashes[who] += count
            if event == LEASE_LOST:
                losses[who] += count
        yield "gristmill_tasks_submitted_total", [Sample(count, (kind,)) for kind, count in sorted(submitted.items())]
        yield "gristmill_tasks_ended_total", [Sample(count, labels) for labels, count in sorted(ended.items())]
        for name, counts in (
            ("gristmill_task_retries_total", retries),
            ("gristmill_task_crashes_total", crashes),
            ("gristmill_lease_losses_total", losses),
        ):
            yield name, [Sample(count, labels) for labels, count in sorted(counts.items())]
        yield "gristmill_task_wait_seconds", _spreads(totals.waits)
        yield "gristmill_task_run_seconds", _spreads(totals.runs)
        yield "gristmill_sweep_work_total", [Sample(count, (duty,)) for duty, count in sorted(totals.duties.items())]


def _spreads(times: Mapping[Series, Times]) -> list[Spread]:
    ordered = sorted(times.items(), key=lambda item: (item[0].kind, item[0].engine))
    return [Spread(BOUNDS, each.counts, each.seconds, (series.kind, series.engine)) for series, each in ordered]


def _age(since: int | None, now: int) -> float:
    return 0.0 if since is None else max(0.0, (now - since) / 1_000_000)
