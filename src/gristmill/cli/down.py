"""``gristmill down``: ends what ``up`` started, and everything those processes started."""

import click

from gristmill.cli.command import command
from gristmill.cli.instance import Instance
from gristmill.cli.invocation import Invocation
from gristmill.cli.processes import alone, stop_all

__all__ = ["down"]

_MARGIN_SECONDS = 5.0
"""Beyond the time that running tasks have: for giving the rest back and ending slots."""


@command(
    examples="""
    gristmill down
    gristmill --data /srv/gristmill down
    """
)
@click.option("--now", is_flag=True, help="Do not wait for running tasks; they start again later.")
def down(invocation: Invocation, *, now: bool) -> int:
    """Stop what `up` started.

    Running tasks have a while to end (workers.drain_seconds); what is not done by then starts again with the next
    worker. Nothing is left running.
    """
    settings = invocation.settings()
    instance = Instance(settings.data.expanduser().resolve())
    patience = 0.5 if now else settings.workers.drain_seconds + _MARGIN_SECONDS
    stopped: dict[str, int] = {}
    if instance.run.is_dir():
        with alone(instance.run):
            stopped = stop_all(instance.processes, patience_seconds=patience)
            instance.forget()
    for name, pid in stopped.items():
        invocation.say("cli_stopped", name=name, pid=pid)
    if not stopped:
        invocation.say("cli_nothing_runs", data=str(settings.data))
    invocation.answer({"stopped": [{"name": name, "pid": pid} for name, pid in stopped.items()]})
    return 0
