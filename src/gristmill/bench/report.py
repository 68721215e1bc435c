"""What a comparison found: rows of figures, as a table, as JSON and as a plot."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gristmill.errors import InvalidInput

__all__ = ["HEAD", "RECOVERY_HEAD", "Measured", "Recovered", "Report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One contender at one amount of work."""

    contender: str
    task_seconds: float
    tasks: int
    submit_seconds: float
    seconds: float
    """From the first submit to the last end."""
    cpu_ms_per_task: float
    """Of the workers' processes."""
    memory_mb: float
    """The most the workers' processes held together."""

    @property
    def per_second(self) -> float:
        return self.tasks / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """One contender at rest, and after its worker was killed."""

    contender: str
    latency_ms: float
    """Median from submit to end of a task that does nothing, one at a time."""
    recovery_seconds: float | None
    """From SIGKILL until the killed task ran again; None if it did not within :attr:`patience_seconds`."""
    patience_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it."""

    slots: int
    measured: list[Measured] = field(default_factory=list)
    recovered: list[Recovered] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "slots": self.slots,
            "throughput": [{**asdict(row), "per_second": row.per_second} for row in self.measured],
            "recovery": [asdict(row) for row in self.recovered],
        }

    def throughput_rows(self) -> Sequence[tuple[str, ...]]:
        """A line per contender and amount of work."""
        return [
            (
                row.contender,
                _task(row.task_seconds),
                f"{row.tasks}",
                f"{row.per_second:,.0f}",
                f"{row.tasks / row.submit_seconds:,.0f}",
                f"{row.cpu_ms_per_task:.2f}",
                f"{row.memory_mb:.0f}",
            )
            for row in self.measured
        ]

    def recovery_rows(self) -> Sequence[tuple[str, ...]]:
        """A line per contender."""
        return [
            (
                row.contender,
                f"{row.latency_ms:.1f}",
                f"{row.recovery_seconds:.1f}"
                if row.recovery_seconds is not None
                else f"not within {row.patience_seconds:.0f}",
            )
            for row in self.recovered
        ]

    def plot(self, file: Path) -> None:
        """Tasks per second over the number of tasks, one panel per task length; SVG, PNG or PDF by the file's name.

        :class:`InvalidInput` without the extra ``bench``.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise InvalidInput("extra_missing", feature="bench --plot", extra="bench") from error
        lengths = sorted({row.task_seconds for row in self.measured})
        figure = Figure(figsize=(4.2 * len(lengths), 3.6), layout="constrained")
        panels = figure.subplots(1, len(lengths), squeeze=False)[0]
        for panel, length in zip(panels, lengths, strict=True):
            for contender in dict.fromkeys(row.contender for row in self.measured):
                rows = [row for row in self.measured if (row.contender, row.task_seconds) == (contender, length)]
                style = "--" if contender.startswith("bare") else "-"
                panel.plot(
                    [row.tasks for row in rows], [row.per_second for row in rows], style, marker="o", label=contender
                )
            panel.set(title=_task(length), xlabel="tasks", ylim=(0, None))
        panels[0].set_ylabel(f"tasks per second, {self.slots} slots")
        panels[0].legend(fontsize="small")
        figure.savefig(file)


def _task(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds else "no-op"


HEAD = ("ENGINE", "TASK", "TASKS", "PER SECOND", "SUBMITTED/S", "CPU MS/TASK", "MEMORY MB")
RECOVERY_HEAD = ("ENGINE", "LATENCY MS", "RECOVERY S")
