"""``gristmill engine``: which engine gets which share of the tasks, changed while everything runs."""

import click

from gristmill.cli.command import command, family
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import columns
from gristmill.engines.policy import ENGINES

__all__ = ["engine"]

engine = family(
    "engine",
    summary="Show and choose what carries tasks to workers.",
    examples="""
    gristmill engine show
    gristmill engine use celery
    gristmill engine ratio 0.2
    gristmill engine canary celery
    """,
)


@command(
    parent=engine,
    name="show",
    examples="""
    gristmill engine show
    gristmill engine show --json
    """,
)
def show_engine(invocation: Invocation) -> None:
    """Show the shares, each engine's health and how much waits for it."""
    _show(invocation)


@command(
    parent=engine,
    name="use",
    examples="""
    gristmill engine use celery
    gristmill engine use local
    """,
)
@click.argument("name", type=click.Choice(ENGINES))
def use_engine(invocation: Invocation, name: str) -> None:
    """Give all tasks to one engine, those that wait already included.

    What runs goes on where it runs. Nothing is lost or done twice.
    """
    with invocation.app() as app:
        app.engines.use(name)
        app.sweeper.reassign()
    _show(invocation)


@command(
    parent=engine,
    name="ratio",
    examples="""
    gristmill engine ratio 0.2
    gristmill engine ratio 0
    """,
)
@click.argument("ratio", type=float)
def set_ratio(invocation: Invocation, ratio: float) -> None:
    """Give a share of the tasks to Celery: 0.2 is a fifth.

    The rest goes to RQ, or to local workers where those are in use. 0 takes everything back at once.
    """
    with invocation.app() as app:
        app.engines.set_ratio(ratio)
        app.sweeper.reassign()
    _show(invocation)


@command(
    parent=engine,
    name="canary",
    examples="""
    gristmill engine canary celery
    gristmill engine canary rq --steps 0.1,0.5,1 --hold 300
    """,
)
@click.argument("name", type=click.Choice(ENGINES))
@click.option("--steps", metavar="A,B", help="Shares to go through, by default 0.05,0.1,0.25,0.5,1.")
@click.option("--hold", type=click.FloatRange(1), help="Seconds each step lasts at least; by default 60.")
@click.option("--errors", type=click.FloatRange(0, 1), help="Error rate allowed beyond the old engine's; 0.02.")
@click.option("--slower", type=click.FloatRange(1), help="Times the old engine's median time allowed; 1.5.")
@click.option("--least", type=click.IntRange(1), help="Tasks that must have ended on each before it is judged; 20.")
def start_canary(
    invocation: Invocation,
    name: str,
    steps: str | None,
    hold: float | None,
    errors: float | None,
    slower: float | None,
    least: int | None,
) -> None:
    """Raise an engine's share step by step while it does as well as the one in use.

    The sweeper watches error rate and time from ready to ended, and takes everything back if they leave the bounds.
    """
    try:
        shares = tuple(float(step) for step in steps.split(",")) if steps else None
    except ValueError as error:
        raise click.BadParameter(f"{steps!r} is not a list of numbers, as 0.05,0.25,1", param_hint="--steps") from error
    rules = {"steps": shares, "hold_seconds": hold, "most_errors": errors, "slower": slower, "least_tasks": least}
    with invocation.app() as app:
        app.engines.start_canary(name, **{rule: value for rule, value in rules.items() if value is not None})
    _show(invocation)


def _show(invocation: Invocation) -> None:
    from gristmill.db.queues import Queues

    with invocation.app() as app:
        shown = app.engines.described(Queues(app.database, app.clock).depths())
    invocation.answer(shown)
    rows = [
        (name, f"{facts['share']:.0%}", "ok" if facts["ok"] else facts["reason"], facts["waiting"], facts["running"])
        for name, facts in shown["engines"].items()
    ]
    for line in columns(rows, head=("ENGINE", "SHARE", "HEALTH", "WAITING", "RUNNING")):
        invocation.write(line)
    canary = shown["canary"]
    if canary is not None:
        said = "cli_canary_ended" if canary["ended"] else "cli_canary"
        share = canary["steps"][canary["step"]]
        invocation.say(said, new=canary["new"], old=canary["old"], share=f"{share:.0%}", ended=canary["ended"] or "")
