"""The metrics there are, and their text as Prometheus reads it. Knows what they mean, not where values come from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

__all__ = ["CONTENT_TYPE", "METRICS", "Metric", "Reading", "Sample", "Spread", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What one metric says, and by which labels its values are told apart."""

    name: str
    """Ends in its unit, and in ``_total`` if it only ever grows."""
    type: Literal["gauge", "counter", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a gauge or a counter, with the values of its labels in their order."""

    value: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """How often a histogram's values fell into each bucket."""

    bounds: Sequence[float]
    counts: Sequence[int]
    """One for each of ``bounds`` and one for what lies above; not cumulative."""
    sum: float
    labels: tuple[str, ...] = ()


Reading = Iterable[Sample | Spread]
"""All values of one metric at a moment."""

_ALL = (
    Metric(name="gristmill_info", type="gauge", help="The version that answers.", labels=("version",)),
    Metric(name="gristmill_tasks", type="gauge", help="Tasks that have not ended, by state.", labels=("state",)),
    Metric(
        name="gristmill_queue_ready_tasks",
        type="gauge",
        help="Tasks that wait for a worker, by queue.",
        labels=("queue",),
    ),
    Metric(
        name="gristmill_queue_scheduled_tasks",
        type="gauge",
        help="Tasks that wait for their time, by queue.",
        labels=("queue",),
    ),
    Metric(
        name="gristmill_queue_active_tasks",
        type="gauge",
        help="Tasks that run or wait for their sub-tasks, by queue.",
        labels=("queue",),
    ),
    Metric(
        name="gristmill_queue_oldest_seconds",
        type="gauge",
        help="How long the task that waits longest for a worker has waited, by queue.",
        labels=("queue",),
    ),
    Metric(
        name="gristmill_engine_ready_tasks",
        type="gauge",
        help="Tasks that wait for a worker, by engine.",
        labels=("engine",),
    ),
    Metric(
        name="gristmill_engine_up",
        type="gauge",
        help="1 while the engine in force carries ids to workers, 0 while it does not.",
        labels=("engine",),
    ),
    Metric(name="gristmill_workers", type="gauge", help="Workers that are registered."),
    Metric(name="gristmill_live_workers", type="gauge", help="Workers that are alive."),
    Metric(name="gristmill_worker_slots", type="gauge", help="Tasks that all registered workers can run at a time."),
    Metric(
        name="gristmill_worker_beat_age_seconds",
        type="gauge",
        help="Time since each worker's last heartbeat.",
        labels=("worker",),
    ),
    Metric(
        name="gristmill_alerts_firing",
        type="gauge",
        help="Alerts that hold at the moment, by rule.",
        labels=("rule", "severity"),
    ),
    Metric(
        name="gristmill_tasks_submitted_total",
        type="counter",
        help="Tasks accepted, sub-tasks included.",
        labels=("kind",),
    ),
    Metric(
        name="gristmill_tasks_ended_total",
        type="counter",
        help="Tasks that ended, by how.",
        labels=("kind", "engine", "state"),
    ),
    Metric(
        name="gristmill_task_retries_total",
        type="counter",
        help="Attempts that failed and were followed by another.",
        labels=("kind", "engine"),
    ),
    Metric(
        name="gristmill_task_crashes_total",
        type="counter",
        help="Attempts whose process died.",
        labels=("kind", "engine"),
    ),
    Metric(
        name="gristmill_lease_losses_total",
        type="counter",
        help="Attempts whose worker was silent for a whole lease.",
        labels=("kind", "engine"),
    ),
    Metric(
        name="gristmill_task_wait_seconds",
        type="histogram",
        help="Time from when a task could be claimed until it was.",
        labels=("kind", "engine"),
    ),
    Metric(
        name="gristmill_task_run_seconds",
        type="histogram",
        help="Time from the claim to the end of each attempt.",
        labels=("kind", "engine"),
    ),
    Metric(
        name="gristmill_sweep_work_total",
        type="counter",
        help="What sweeps had to do, by duty.",
        labels=("duty",),
    ),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
"""By name, in the order in which they are shown."""


def exposition(readings: Mapping[str, Reading]) -> str:
    """``readings``, by the names of their metrics, as Prometheus reads them."""
    # Not at the top: most processes are never asked.
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import Collector

    class Readings(Collector):
        def collect(self) -> "Iterator[Family]":
            for metric in METRICS.values():
                if metric.name in readings:
                    yield _family(metric, readings[metric.name])

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Readings())
    return generate_latest(registry).decode()


def _family(metric: Metric, reading: Reading) -> "Family":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    if metric.type == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for spread in reading:
            assert isinstance(spread, Spread)
            histogram.add_metric(spread.labels, buckets=_cumulative(spread), sum_value=spread.sum)
        return histogram
    family = (GaugeMetricFamily if metric.type == "gauge" else CounterMetricFamily)(
        metric.name, metric.help, labels=metric.labels
    )
    for sample in reading:
        assert isinstance(sample, Sample)
        family.add_metric(sample.labels, sample.value)
    return family


def _cumulative(spread: Spread) -> list[tuple[str, float]]:
    buckets: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip([*map(str, spread.bounds), "+Inf"], spread.counts, strict=True):
        below += count
        buckets.append((bound, below))
    return buckets
