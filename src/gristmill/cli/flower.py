"""``gristmill flower``: Flower in the foreground, with a password in any case."""

import os
import secrets
from typing import TYPE_CHECKING

import click

from gristmill.cli.command import command
from gristmill.cli.guard import make_data_directory
from gristmill.cli.invocation import Invocation
from gristmill.errors import InvalidInput

if TYPE_CHECKING:
    from gristmill.settings import Settings

__all__ = ["flower"]

_USER = "gristmill"
_FILE = "flower.password"


@command(
    examples="""
    gristmill flower
    gristmill flower --port 5556
    """
)
@click.option("--host", help="Address to listen on  [default: 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on  [default: 5555].")
def flower(invocation: Invocation, host: str | None, port: int | None) -> None:
    """Run Flower in the foreground until SIGTERM or Ctrl-C.

    Who may use it is in flower.basic_auth. Without that, a password is made up at the first start and kept in the
    data directory.
    """
    settings = invocation.settings({"flower": {"host": host, "port": port}})
    from gristmill.engines.policy import CELERY, Policy, checked

    checked(Policy(shares={CELERY: 1.0}), settings.redis)
    credentials, origin = _credentials(invocation, settings)
    from gristmill.celery.flower import run_flower

    def tell(port: int) -> None:
        url = f"http://{settings.flower.host}:{port}"
        invocation.answer_line({"url": url, "credentials": origin})
        invocation.say("cli_flower_running", url=url, origin=origin)

    run_flower(settings, credentials, started=tell)


def _credentials(invocation: Invocation, settings: "Settings") -> tuple[list[str], str]:
    """Who may come in, and where a person finds that."""
    if settings.flower.basic_auth is not None:
        given = [pair.strip() for pair in settings.flower.basic_auth.get_secret_value().split(",")]
        if not all(pair.isascii() and all(pair.partition(":")) for pair in given):
            raise InvalidInput("flower_auth_invalid", field="flower.basic_auth")
        return given, invocation.text("cli_flower_auth_given")
    make_data_directory(settings.data)
    file = settings.data / _FILE
    password = secrets.token_urlsafe(18)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return [file.read_text("ascii").strip()], invocation.text("cli_flower_auth_kept", file=str(file))
    with os.fdopen(descriptor, "w", encoding="ascii") as kept:
        kept.write(f"{_USER}:{password}\n")
    made = invocation.text("cli_flower_auth_made", user=_USER, password=password, file=str(file))
    return [f"{_USER}:{password}"], made
