"""What differs between databases at the level of connections; the statements that differ stand with their like."""

from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from gristmill.db.postgres import SCHEMES, Postgres
from gristmill.db.sqlite import Sqlite
from gristmill.errors import GristmillError, InvalidInput

__all__ = ["Dialect", "dialect_for"]

_SQLITE = "sqlite:///"


class Dialect(Protocol):
    """One database of one make."""

    @property
    def name(self) -> str:
        """``sqlite`` or ``postgres``; also the folder of its migrations."""
        ...

    def exists(self) -> bool:
        """Whether there is a database to look into, empty or not."""
        ...

    def create(self) -> None:
        """Make room for the database where that is ours to do."""
        ...

    def open(self) -> Engine:
        """An engine whose transactions begin as the options of their connection say.

        ``gristmill_write``: may write; without it, one consistent view. ``gristmill_durable``: commit waits for the
        disk, also where what a crash may take back could do no harm.
        """
        ...

    def has_table(self, connection: Connection, name: str) -> bool:
        """Whether there is a table ``name``."""
        ...

    def prepare_migrations(self, connection: Connection) -> None:
        """Inside a write transaction: let one process at a time bring the schema up to date.

        :class:`Unavailable` if the server is too old for it.
        """
        ...

    def translate(self, error: DBAPIError) -> GristmillError | None:
        """Our error for a driver error that means the database cannot serve now; None for any other."""
        ...

    def was_overtaken(self, error: DBAPIError) -> bool:
        """Whether another transaction got in the way, so that the same work may well succeed if done again."""
        ...


def dialect_for(url: str, *, busy_timeout_seconds: float, connections: int) -> Dialect:
    """The dialect of ``sqlite:///path`` or ``postgresql://…``; :class:`InvalidInput` for any other.

    ``connections``: the most that a process may open to a server.
    """
    scheme = url.split(":", 1)[0]
    if url.startswith(_SQLITE):
        return Sqlite(url.removeprefix(_SQLITE), busy_timeout_seconds=busy_timeout_seconds)
    if scheme.split("+", 1)[0] in SCHEMES:
        return Postgres(url, busy_timeout_seconds=busy_timeout_seconds, connections=connections)
    raise InvalidInput("database_url_unknown", scheme=scheme)
