"""The database both stores share: opens lazily in each process, begins transactions, brings the schema up to date.

Knows no table. What differs between databases is asked of the dialect module.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from gristmill.db.sqlite import open_sqlite, translate_sqlite
from gristmill.errors import Conflict, InvalidInput

__all__ = ["Database"]


class Database:
    """One database, by URL (``sqlite:///path``)."""

    def __init__(self, url: str, *, busy_timeout_seconds: float = 30.0) -> None:
        prefix = "sqlite:///"
        if not url.startswith(prefix):
            raise InvalidInput("database_url_unknown", scheme=url.split(":", 1)[0])
        self._path = Path(url.removeprefix(prefix))
        self._busy_timeout_seconds = busy_timeout_seconds
        self._engine: Engine | None = None
        self._pid = 0
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """The database file."""
        return self._path

    def _open(self) -> Engine:
        # An open handle must not cross a fork: SQLite's locks and the pool's sockets belong to one process.
        if self._engine is None or self._pid != os.getpid():
            with self._lock:
                if self._engine is None or self._pid != os.getpid():
                    self._engine = open_sqlite(self._path, busy_timeout_seconds=self._busy_timeout_seconds)
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

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            ours = translate_sqlite(error)
            if ours is None:
                raise
            raise ours from error

    def migrate(self) -> list[str]:
        """Apply the migrations that are missing, in order; the names of those applied.

        :class:`Conflict` (``database_too_new``) if the database was written by a newer Gristmill.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        known = sorted(
            entry.name.removesuffix(".sql")
            for entry in resources.files("gristmill.db.migrations").joinpath("sqlite").iterdir()
            if entry.name.endswith(".sql")
        )
        if self._applied() == known:
            return []
        with self.write(durable=True) as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
            applied = {row[0] for row in connection.exec_driver_sql("SELECT name FROM migrations")}
            if unknown := applied - set(known):
                raise Conflict("database_too_new", migration=max(unknown))
            missing = [name for name in known if name not in applied]
            for name in missing:
                script = resources.files("gristmill.db.migrations").joinpath("sqlite", f"{name}.sql").read_text("utf-8")
                for statement in script.split(";\n"):
                    if statement.strip():
                        connection.exec_driver_sql(statement)
                connection.exec_driver_sql("INSERT INTO migrations (name) VALUES (?)", (name,))
        return missing

    def _applied(self) -> list[str]:
        if not self._path.exists():
            return []
        with self.read() as connection:
            found = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").first()
            if found is None:
                return []
            return [row[0] for row in connection.exec_driver_sql("SELECT name FROM migrations ORDER BY name")]

    def checked_out(self) -> int:
        """How many connections are in use; a test proves that it returns to zero."""
        pool = None if self._engine is None else self._engine.pool
        return 0 if pool is None else pool.checkedout()  # type: ignore[attr-defined]  # QueuePool, not the base class

    def close(self) -> None:
        """Close this process's connections."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None
