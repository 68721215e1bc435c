"""What a Postgres server is and offers, for whoever wonders whether it will do."""

from dataclasses import dataclass

from sqlalchemy import text

from gristmill.db.database import Database
from gristmill.db.postgres import LEAST_PGVECTOR, LEAST_VERSION
from gristmill.errors import Unavailable

__all__ = ["Server", "look_at_server"]

_LOOK = text("""
SELECT
    current_setting('server_version_num')::int / 10000 AS major,
    split_part(current_setting('server_version'), ' ', 1) AS version,
    coalesce(
        (SELECT extversion FROM pg_extension WHERE extname = 'vector'),
        (SELECT default_version FROM pg_available_extensions WHERE name = 'vector')
    ) AS pgvector,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connected,
    current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' AS is_durable
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server that will do."""

    version: str
    pgvector: str
    """Version of the extension in the database, or of the one it will get."""
    connections: int
    """The most it serves at a time, all its users together."""
    connected: int
    """How many it serves now, as far as we may see."""
    is_durable: bool
    """Whether what it has committed survives a power cut."""


def look_at_server(database: Database) -> Server:
    """What the server of ``database`` is; :class:`Unavailable` says why it cannot be used."""
    with database.read() as connection:
        row = connection.execute(_LOOK).one()
    if row.major < LEAST_VERSION:
        raise Unavailable("postgres_too_old", version=row.version, needed=LEAST_VERSION)
    if row.pgvector is None:
        raise Unavailable("pgvector_missing")
    if tuple(int(part) for part in row.pgvector.split(".")[:2]) < LEAST_PGVECTOR:
        needed = ".".join(map(str, LEAST_PGVECTOR))
        raise Unavailable("pgvector_too_old", version=row.pgvector, needed=needed)
    return Server(
        version=row.version,
        pgvector=row.pgvector,
        connections=row.connections,
        connected=row.connected,
        is_durable=row.is_durable,
    )
