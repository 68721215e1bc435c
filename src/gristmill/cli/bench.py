"""``gristmill bench``: how fast the engines are on this machine, beside what they are built on."""

from pathlib import Path

import click

from gristmill.cli.command import command, family
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import columns

__all__ = ["bench"]

bench = family(
    "bench",
    summary="Measure the engines on this machine.",
    examples="""
    gristmill bench engines --counts 100,500
    gristmill bench engines --plot engines.svg
    """,
)


@command(
    parent=bench,
    name="engines",
    examples="""
    gristmill bench engines
    gristmill bench engines --only local,celery --counts 100,500 --seconds 0
    gristmill bench engines --plot engines.svg --json
    """,
)
@click.option("--only", metavar="A,B", help="Of local, celery, rq, bare celery, bare rq; by default all.")
@click.option("--counts", metavar="A,B", default="100,500,1000,2000", show_default=True, help="Tasks per run.")
@click.option("--seconds", metavar="A,B", default="0,0.01,0.2", show_default=True, help="What each task takes.")
@click.option("--slots", type=click.IntRange(1, 64), default=2, show_default=True, help="Tasks side by side.")
@click.option("--lease", type=click.FloatRange(0.5), default=2.0, show_default=True, help="Of our tasks, in seconds.")
@click.option("--sweep", type=click.FloatRange(0.1), default=1.0, show_default=True, help="Seconds between our sweeps.")
@click.option("--no-recovery", is_flag=True, help="Do not kill a worker at the end.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the figures into FILE, as SVG or PNG."
)
def engines(
    invocation: Invocation,
    only: str | None,
    counts: str,
    seconds: str,
    slots: int,
    lease: float,
    sweep: float,
    plot: Path | None,
    *,
    no_recovery: bool,
) -> None:
    """Compare local, Celery and RQ with bare Celery and bare RQ on tasks that do nothing or sleep.

    Runs beside what you have, in a directory and with a Redis of its own, and takes about as long as all the tasks
    together: half an hour with the defaults.
    """
    from gristmill.bench.report import HEAD, RECOVERY_HEAD
    from gristmill.bench.run import CONTENDERS, compare

    chosen = [name.strip() for name in only.split(",")] if only else list(CONTENDERS)
    if unknown := [name for name in chosen if name not in CONTENDERS]:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(CONTENDERS)}", param_hint="--only")
    report = compare(
        contenders=chosen,
        counts=[int(count) for count in _numbers(counts, "--counts")],
        task_seconds=_numbers(seconds, "--seconds"),
        slots=slots,
        recovery=not no_recovery,
        lease_seconds=lease,
        sweep_seconds=sweep,
        say=lambda text: click.echo(text, err=True),
    )
    if plot is not None:
        report.plot(plot)
    invocation.answer(report.json())
    for head, rows in ((HEAD, report.throughput_rows()), (RECOVERY_HEAD, report.recovery_rows())):
        for line in columns(rows, head=head):
            invocation.write(line)
        invocation.write("")


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers", param_hint=option) from error
