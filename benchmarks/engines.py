"""The engines beside bare Celery and bare RQ: what ``gristmill bench engines`` prints, with its plot."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.support import Cell, Options, Table, fresh
from gristmill.bench.report import Recovered, Report
from gristmill.bench.run import OURS, compare

__all__ = ["PLOT", "run", "tables"]

PLOT = Path(__file__).parent.parent / "docs" / "explanation" / "engines.svg"

_SLOTS = 2


def run(options: Options) -> Iterator[Table]:
    """Throughput, then latency and recovery; a full run draws the plot anew."""
    counts = (20,) if options.quick else (100, 500, 1000, 2000)
    report = compare(counts=counts, task_seconds=(0.0,) if options.quick else (0.0, 0.01, 0.2), slots=_SLOTS)
    usual = Report(slots=_SLOTS)
    if not options.quick:
        report.plot(PLOT)
        with fresh() as plain:
            tasks = plain.settings.tasks
        usual = compare(
            contenders=OURS,
            counts=(),
            task_seconds=(),
            slots=_SLOTS,
            lease_seconds=tasks.lease_seconds,
            sweep_seconds=tasks.sweep_seconds,
        )
    yield from tables(report, usual)


def tables(report: Report, usual: Report) -> Iterator[Table]:
    """The figures of ``report``, each of ours as a share of the engine it is built on; recovery as in ``usual``, too."""
    bare = {
        (row.contender.removeprefix("bare "), row.task_seconds, row.tasks): row.per_second
        for row in report.measured
        if row.contender.startswith("bare ")
    }
    usually = {row.contender: row for row in usual.recovered}
    yield Table(
        title="Engines: tasks per second",
        head=("engine", "task", "tasks", "per second", "of the bare one", "submitted/s", "CPU ms/task", "memory MB"),
        rows=[
            (
                row.contender,
                f"{row.task_seconds * 1000:.0f} ms" if row.task_seconds else "no-op",
                row.tasks,
                row.per_second,
                row.per_second / bare[key] if (key := (row.contender, row.task_seconds, row.tasks)) in bare else None,
                row.tasks / row.submit_seconds,
                row.cpu_ms_per_task,
                row.memory_mb,
            )
            for row in report.measured
        ],
        note=(
            f"{report.slots} slots, SQLite, from the first submit to the last end; ours are submitted by 100. Celery alone "
            "runs its prefork pool, RQ alone its forking workers, each with its defaults on the same Valkey, which "
            "writes to disk once a second. CPU and memory are those of the workers' processes. ![Tasks per second](engines.svg)"
        ),
    )
    yield Table(
        title="Engines: at rest, and after SIGKILL of a worker",
        head=("engine", "submit to end, ms", "runs again after, s", "with the default lease, s"),
        rows=[
            (
                row.contender,
                row.latency_ms,
                _again(row),
                _again(usually[row.contender]) if row.contender in usually else None,
            )
            for row in report.recovered
        ],
        note=(
            "A no-op at a time, median of 20; then a task whose worker is killed while another is idle, with a lease of "
            "2 s and a sweep of 1 s, and with those that the settings have by default."
        ),
    )


def _again(row: Recovered) -> Cell:
    return row.recovery_seconds if row.recovery_seconds is not None else f"not within {row.patience_seconds:.0f}"
