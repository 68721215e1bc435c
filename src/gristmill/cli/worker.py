"""``gristmill worker``: a worker in the foreground, for a process manager."""

import click

from gristmill.cli.command import command
from gristmill.cli.invocation import Invocation
from gristmill.engines.local import LOCAL
from gristmill.engines.policy import CELERY, ENGINES, Policy, checked, default_policy

__all__ = ["worker"]


@command(
    examples="""
    gristmill worker
    gristmill worker --queues documents,default --concurrency 2
    gristmill worker --engine celery
    gristmill worker --engine rq --count 4
    """
)
@click.option("--engine", type=click.Choice(ENGINES), help="Engine whose tasks it runs; by default the one most go to.")
@click.option("--queues", metavar="A,B", help="Queues to listen to; by default all.")
@click.option("--concurrency", "--count", type=click.IntRange(1, 256), help="Slots; by default one per CPU core.")
def worker(invocation: Invocation, engine: str | None, queues: str | None, concurrency: int | None) -> None:
    """Run a worker in the foreground until SIGTERM or Ctrl-C."""
    settings = invocation.settings({"workers": {"queues": queues, "concurrency": concurrency}})
    engine = engine or default_policy(settings.engine, settings.redis).main
    if engine == LOCAL:
        from gristmill.worker.foreground import run_worker

        run_worker(settings)
        return
    checked(Policy(shares={engine: 1.0}), settings.redis)
    if engine == CELERY:
        from gristmill.worker.celery import run
    else:
        from gristmill.worker.rq import run
    run(settings)
