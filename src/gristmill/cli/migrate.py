"""``gristmill migrate``: the database of an older Gristmill becomes one of this."""

from gristmill.cli.command import command
from gristmill.cli.guard import make_data_directory
from gristmill.cli.invocation import Invocation

__all__ = ["migrate"]


@command(
    examples="""
    gristmill migrate
    gristmill --data /srv/gristmill migrate --json
    """
)
def migrate(invocation: Invocation) -> None:
    """Bring the database up to date; makes a new one if there is none.

    Every start does the same; this verb does it at a time of your choosing. Make a backup first.
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
    invocation.answer({"applied": applied})
