"""Postgres: how connections are opened, transactions begun and errors told; needs the extra ``postgres``."""

import re
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError

from gristmill.errors import GristmillError, InvalidInput, LimitExceeded, Unavailable

__all__ = ["SCHEMES", "Postgres"]

SCHEMES = ("postgresql", "postgres")

_POOL = 8
_MOST_CONNECTIONS = 40
_CONNECT_SECONDS = 5
# A peer that vanished without a word is noticed in about fifteen seconds instead of the system's two hours.
_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_DURABLE = "BEGIN ISOLATION LEVEL READ COMMITTED"
# A crash of the server may take back the last moments of claims and endings, each together with its effect; what was
# accepted is never among them.
_WRITE = f"{_DURABLE}; SET LOCAL synchronous_commit = off"

_MIGRATION_LOCK = 0x67726973746D696C
"""Any number that other programs on the database are unlikely to lock: "gristmil"."""

_OVERTAKEN = {"40001", "40P01", "23505"}
"""Serialization failure, deadlock, unique violation: two inserted the same thing at the same moment."""
_BUSY = {"55P03", "57014"}
"""Lock not available, statement timeout."""
_REFUSAL = re.compile(r"FATAL:\s+((?:role|database|password|no pg_hba|sorry|remaining)[^\n]*)")
"""What a server that is there says to whom it does not let in."""
_FULL = {"53100", "53200"}


class Postgres:
    """The dialect of one Postgres database, by URL."""

    name = "postgres"

    def __init__(self, url: str, *, busy_timeout_seconds: float) -> None:
        try:
            self._url = make_url(url).set(drivername="postgresql+psycopg")
        except ArgumentError as error:
            raise InvalidInput("database_url_unknown", scheme=url.split(":", 1)[0]) from error
        self._lock_timeout_ms = int(busy_timeout_seconds * 1000)

    def exists(self) -> bool:
        return True

    def create(self) -> None:
        """Nothing to do: a database is made by whoever looks after the server."""

    def open(self) -> Engine:
        try:
            import pgvector.psycopg
            import psycopg  # noqa: F401 - the driver that SQLAlchemy imports by name
        except ImportError as error:
            raise Unavailable("extra_missing", extra="postgres", feature="Postgres") from error
        engine = create_engine(
            self._url,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "application_name": "gristmill",
                "options": f"-c lock_timeout={self._lock_timeout_ms} -c timezone=UTC -c jit=off",
                **_KEEPALIVE,
            },
            isolation_level="AUTOCOMMIT",
            pool_size=_POOL,
            max_overflow=_MOST_CONNECTIONS - _POOL,
            pool_timeout=_CONNECT_SECONDS,
            pool_pre_ping=True,
        )

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            # The extension exists from the first migration on; before that there are no vectors to hand over.
            if connection.execute("SELECT to_regtype('vector')").fetchone()[0] is not None:
                pgvector.psycopg.register_vector(connection)

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            if not options.get("gristmill_write"):
                statement = _READ
            else:
                statement = _DURABLE if options.get("gristmill_durable") else _WRITE
            # Under autocommit the driver begins nothing itself, and this is one round trip instead of two.
            driver: Any = connection.connection.driver_connection
            driver.execute(statement)

        return engine

    def lock_migrations(self, connection: Connection) -> None:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))

    def has_table(self, connection: Connection, name: str) -> bool:
        return connection.exec_driver_sql("SELECT to_regclass(%s)", (name,)).scalar() is not None

    def translate(self, error: DBAPIError) -> GristmillError | None:
        state = getattr(error.orig, "sqlstate", None)
        if state in _OVERTAKEN | _BUSY:
            return Unavailable("database_busy")
        if state in _FULL:
            return LimitExceeded("disk_full")
        if refusal := _REFUSAL.search(str(error.orig)):
            return Unavailable("database_refused", reason=refusal[1].strip())
        # Class 08: connection; 57P: shut down by an operator or a crash; 53300: too many connections.
        if error.connection_invalidated or state is None or state[:2] == "08" or state[:3] in {"57P", "533"}:
            return Unavailable("database_unreachable") if _is_operational(error) else None
        return None

    def was_overtaken(self, error: DBAPIError) -> bool:
        return getattr(error.orig, "sqlstate", None) in _OVERTAKEN


def _is_operational(error: DBAPIError) -> bool:
    import psycopg

    return isinstance(error.orig, psycopg.OperationalError | psycopg.InterfaceError)
