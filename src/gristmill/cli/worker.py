"""``gristmill worker``: a worker in the foreground, for a process manager."""

import click

from gristmill.cli.command import command
from gristmill.cli.invocation import Invocation

__all__ = ["worker"]


@command(
    examples="""
    gristmill worker
    gristmill worker --queues documents,default --concurrency 2
    """
)
@click.option("--engine", type=click.Choice(["local"]), help="Engine that carries task ids to this worker.")
@click.option("--queues", metavar="A,B", help="Queues to listen to; by default all.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Slots; by default one per CPU core.")
def worker(invocation: Invocation, engine: str | None, queues: str | None, concurrency: int | None) -> None:
    """Run a worker in the foreground until SIGTERM or Ctrl-C."""
    settings = invocation.settings(
        {"engine": {"name": engine}, "workers": {"queues": queues, "concurrency": concurrency}}
    )
    from gristmill.worker.foreground import run_worker

    run_worker(settings)
