"""Postgres: how connections are opened, transactions begun and errors told; needs the extra ``postgres``."""

import re
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError

from gristmill.errors import GristmillError, InvalidInput, LimitExceeded, Unavailable

__all__ = ["LEAST_PGVECTOR", "LEAST_VERSION", "SCHEMES", "Postgres"]

SCHEMES = ("postgresql", "postgres")
LEAST_VERSION = 13
LEAST_PGVECTOR = (0, 8)
"""The first whose scans go on until a search has as many hits as it asked for."""

_KEPT_OPEN = 8
_CONNECT_SECONDS = 5
# A peer that vanished without a word is noticed within these nine seconds instead of the system's two hours.
_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 9_000,
}
_IDLE_SECONDS = 15
"""A process that stands still in the middle of a transaction holds rows that others wait for; the server ends it."""

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Every commit waits for the disk, not only those that SQLite makes wait: a server may come back without what it did
# not wait for while the worker that wrote it lives on, holding a task whose end is forgotten, or publishing a version
# of which a part is gone.
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"

_MIGRATION_LOCK = 0x67726973746D696C
"""Any number that other programs on the database are unlikely to lock: "gristmil"."""

_OVERTAKEN = {"40001", "40P01", "23505"}
"""Serialization failure, deadlock, unique violation: two inserted the same thing at the same moment."""
_BUSY = {"55P03", "57014", "53200"}
"""Lock not available, statement timeout, out of memory."""
_READ_ONLY = {"25006"}
_FULL = {"53100"}
_FORBIDDEN = {"42501"}
_GONE = ("08", "57P", "25P03")
"""How the states of a lost connection begin: class 08, ended by an operator or a crash, ended while it stood still."""

# A server that turns a connection away does so before there are states, in words of its own.
_CROWDED = re.compile(r"FATAL:\s+((?:sorry, too many|remaining connection|too many connections)[^\n]*)")
_REFUSAL = re.compile(r"(?:FATAL:\s+|fe_sendauth: )((?:role|database|password|no pg_hba|no password|permission)[^\n]*)")
_NO_PGVECTOR = re.compile(r'extension "vector" is not available|vector\.control|type "vector" does not exist')


class Postgres:
    """The dialect of one Postgres database, by URL."""

    name = "postgres"

    def __init__(self, url: str, *, busy_timeout_seconds: float, connections: int) -> None:
        try:
            self._url = make_url(url).set(drivername="postgresql+psycopg")
        except ArgumentError as error:
            raise InvalidInput("database_url_unknown", scheme=url.split(":", 1)[0]) from error
        self._lock_timeout_ms = int(busy_timeout_seconds * 1000)
        self._connections = connections

    def exists(self) -> bool:
        return True

    def create(self) -> None:
        """Nothing to do: a database is made by whoever looks after the server."""

    def open(self) -> Engine:
        try:
            import pgvector.psycopg
            import psycopg
        except ImportError as error:
            raise Unavailable("extra_missing", extra="postgres", feature="Postgres") from error
        kept_open = min(_KEPT_OPEN, self._connections)
        engine = create_engine(
            self._url,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "application_name": "gristmill",
                "options": (
                    f"-c lock_timeout={self._lock_timeout_ms} -c timezone=UTC -c jit=off "
                    f"-c idle_in_transaction_session_timeout={_IDLE_SECONDS * 1000}"
                ),
                **_KEEPALIVE,
            },
            isolation_level="AUTOCOMMIT",
            pool_size=kept_open,
            max_overflow=self._connections - kept_open,
            pool_timeout=_CONNECT_SECONDS,
        )

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            try:
                # The extension exists from the first migration on; before that there are no vectors to hand over.
                if connection.execute("SELECT to_regtype('vector')").fetchone()[0] is not None:
                    pgvector.psycopg.register_vector(connection)
            except psycopg.Error:
                # Lost already, and the pool has not taken it over yet.
                connection.close()
                raise

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            # Under autocommit the driver begins nothing itself.
            connection.exec_driver_sql(_WRITE if connection.get_execution_options().get("gristmill_write") else _READ)

        return engine

    def prepare_migrations(self, connection: Connection) -> None:
        version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
        if version < LEAST_VERSION:
            raise Unavailable("postgres_too_old", version=version, needed=LEAST_VERSION)
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))

    def has_table(self, connection: Connection, name: str) -> bool:
        return connection.exec_driver_sql("SELECT to_regclass(%s)", (name,)).scalar() is not None

    def translate(self, error: DBAPIError) -> GristmillError | None:
        state: str = getattr(error.orig, "sqlstate", None) or ""
        text = str(error.orig)
        if state in _OVERTAKEN | _BUSY:
            return Unavailable("database_busy")
        if state in _FULL:
            return LimitExceeded("disk_full")
        if state in _READ_ONLY:
            return Unavailable("database_read_only")
        if _NO_PGVECTOR.search(text):
            return Unavailable("pgvector_missing")
        if state in _FORBIDDEN:
            return Unavailable("database_forbids", reason=_first_line(text))
        if crowd := _CROWDED.search(text):
            return Unavailable("database_crowded", reason=crowd[1].strip())
        if refusal := _REFUSAL.search(text):
            return Unavailable("database_refused", reason=refusal[1].strip())
        # Without a state: what the driver itself found, which of its errors are those of a connection.
        if error.connection_invalidated or state.startswith(_GONE) or (not state and _is_operational(error)):
            return Unavailable("database_unreachable")
        return None

    def was_overtaken(self, error: DBAPIError) -> bool:
        return getattr(error.orig, "sqlstate", None) in _OVERTAKEN


def _is_operational(error: DBAPIError) -> bool:
    import psycopg

    return isinstance(error.orig, psycopg.OperationalError | psycopg.InterfaceError)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
