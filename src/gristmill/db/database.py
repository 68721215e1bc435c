"""The database both stores share: opens lazily in each process, begins transactions, brings the schema up to date.

Knows no table. What differs between databases is asked of the dialect.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from gristmill.db.dialect import dialect_for
from gristmill.db.sqlite import Sqlite
from gristmill.errors import Conflict, Unavailable

__all__ = ["Database"]

_APPLIED = text("SELECT name FROM migrations ORDER BY name")
_TRIES = 4
_T = TypeVar("_T")

_APPLY = text("INSERT INTO migrations (name) VALUES (:name)")


class Database:
    """One database, by URL: ``sqlite:///path`` or ``postgresql://user@host/name``."""

    def __init__(self, url: str, *, busy_timeout_seconds: float = 30.0) -> None:
        self.url = url
        self._dialect = dialect_for(url, busy_timeout_seconds=busy_timeout_seconds)
        self._engine: Engine | None = None
        self._pid = 0
        self._lock = threading.Lock()

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgres``."""
        return self._dialect.name

    @property
    def path(self) -> Path:
        """The database file, of SQLite."""
        assert isinstance(self._dialect, Sqlite)
        return self._dialect.path

    def _open(self) -> Engine:
        # An open handle must not cross a fork: SQLite's locks and the pool's sockets belong to one process.
        if self._engine is None or self._pid != os.getpid():
            with self._lock:
                if self._engine is None or self._pid != os.getpid():
                    self._engine = self._dialect.open()
                    self._pid = os.getpid()
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one consistent view from its first statement to its end."""
        with self._translated(), self._open().connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """A write transaction, alone from its first moment; ``durable`` waits for the disk at commit."""
        with self._translated(), self._open().connect() as plain:
            connection = plain.execution_options(gristmill_write=True, gristmill_durable=durable)
            with connection.begin():
                yield connection

    def transact(self, work: Callable[[Connection], _T], *, durable: bool = False) -> _T:
        """What ``work`` returns, done in one write transaction; done again if another got in its way.

        Two that insert the same thing, or wait for each other, only meet where there is more than one writer.
        """
        for _ in range(_TRIES - 1):
            try:
                with self.write(durable=durable) as connection:
                    return work(connection)
            except Unavailable as error:
                if not (isinstance(error.__cause__, DBAPIError) and self._dialect.was_overtaken(error.__cause__)):
                    raise
        with self.write(durable=durable) as connection:
            return work(connection)

    @contextmanager
    def alone(self) -> Iterator[Any]:
        """The driver's own connection outside of any transaction, of Postgres; closed afterwards with its settings."""
        with self._translated(), self._open().connect() as connection:
            try:
                yield connection.connection.driver_connection
            finally:
                connection.invalidate()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            ours = self._dialect.translate(error)
            if ours is None:
                raise
            raise ours from error

    def migrate(self) -> list[str]:
        """Apply the migrations that are missing, in order; the names of those applied.

        :class:`Conflict` (``database_too_new``) if the database was written by a newer Gristmill.
        """
        self._dialect.create()
        folder = resources.files("gristmill.db.migrations").joinpath(self._dialect.name)
        known = sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
        if self._applied() == known:
            return []
        with self.write(durable=True) as connection:
            self._dialect.lock_migrations(connection)
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
            applied = {row.name for row in connection.execute(_APPLIED)}
            if unknown := applied - set(known):
                raise Conflict("database_too_new", migration=max(unknown))
            missing = [name for name in known if name not in applied]
            for name in missing:
                script = folder.joinpath(f"{name}.sql").read_text("utf-8")
                for statement in script.split(";\n"):
                    if statement.strip():
                        connection.exec_driver_sql(statement)
                connection.execute(_APPLY, {"name": name})
        if missing:
            # Connections prepare themselves for the types they find; those made before found none.
            self.close()
        return missing

    def _applied(self) -> list[str]:
        if not self._dialect.exists():
            return []
        with self.read() as connection:
            if not self._dialect.has_table(connection, "migrations"):
                return []
            return [row.name for row in connection.execute(_APPLIED)]

    def checked_out(self) -> int:
        """How many connections are in use; a test proves that it returns to zero."""
        pool = None if self._engine is None else self._engine.pool
        return 0 if pool is None else pool.checkedout()  # type: ignore[attr-defined]  # QueuePool, not the base class

    def close(self) -> None:
        """Close this process's connections."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None
