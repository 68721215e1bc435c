"""``gristmill serve``: the API in the foreground, for a process manager."""

import click

from gristmill.cli.command import command
from gristmill.cli.guard import check_open_to_network
from gristmill.cli.invocation import Invocation

__all__ = ["serve"]


@command(
    examples="""
    gristmill serve
    gristmill serve --host 0.0.0.0 --port 8080
    """
)
@click.option("--host", help="Address to listen on; any but loopback needs an API key  [default: 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on  [default: 8000].")
def serve(invocation: Invocation, host: str | None, port: int | None) -> None:
    """Run the API in the foreground until SIGTERM or Ctrl-C."""
    settings = invocation.settings({"api": {"host": host, "port": port}})
    check_open_to_network(invocation, settings)
    from gristmill.api.server import run_api

    run_api(settings)
