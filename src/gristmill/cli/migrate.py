"""``gristmill migrate``: the database of an older Gristmill becomes one of this, or moves to another server."""

from typing import TYPE_CHECKING

import click

from gristmill.cli.command import command
from gristmill.cli.guard import make_data_directory
from gristmill.cli.invocation import Invocation
from gristmill.errors import Conflict

if TYPE_CHECKING:
    from gristmill.settings import Settings

__all__ = ["migrate"]


@command(
    examples="""
    gristmill migrate
    gristmill --data /srv/gristmill migrate --json
    gristmill migrate --to postgresql://gristmill:secret@db.example.org/gristmill
    """
)
@click.option("--to", "target", metavar="URL", help="Copy everything into the empty database at URL.")
def migrate(invocation: Invocation, target: str | None) -> None:
    """Bring the database up to date; makes a new one if there is none.

    Every start does the same; this verb does it at a time of your choosing. Make a backup first. With --to, what the
    database holds is copied into another one, all of it or nothing; afterwards set database.url to that one.
    """
    settings = invocation.settings()
    from gristmill.db.database import Database
    from gristmill.settings import DataPaths

    data = settings.data.expanduser().resolve()
    url = settings.database.url
    location = f"sqlite:///{DataPaths(data).database}" if url is None else url.get_secret_value()
    database = Database(location, busy_timeout_seconds=settings.database.busy_timeout_seconds)
    make_data_directory(data)
    try:
        applied = database.migrate()
    finally:
        database.close()
    if not applied:
        invocation.say("cli_database_current")
    for name in applied:
        invocation.say("cli_migrated", name=name)
    copied = None if target is None else _copied(invocation, settings, target)
    if copied is not None:
        invocation.say("cli_moved", rows=copied)
    invocation.answer({"applied": applied, "copied": copied})


def _copied(invocation: Invocation, settings: "Settings", url: str) -> int:
    from gristmill.db.database import Database
    from gristmill.db.moving import copy_rows
    from gristmill.monitoring.presence import live_workers

    with invocation.app(settings) as app:
        lease = settings.tasks.lease_seconds
        if alive := live_workers(app.store.workers(), now=app.clock.now(), lease_seconds=lease):
            # Whatever they write while rows are copied would be missing from the copy.
            raise Conflict("database_in_use", workers=len(alive))
        target = Database(url)
        try:
            return copy_rows(app.database, target)
        finally:
            target.close()
