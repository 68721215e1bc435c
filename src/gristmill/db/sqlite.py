"""SQLite: how a connection is opened so that many processes may write safely.

Uses the newest SQLite library at hand and refuses one whose WAL can corrupt the file.
"""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from gristmill.errors import GristmillError, LimitExceeded, Unavailable

__all__ = ["SAFE_VERSION", "Sqlite", "sqlite_module"]

SAFE_VERSION = (3, 51, 3)
"""First release without the WAL-reset bug (https://sqlite.org/wal.html#walresetbug): two connections that write and
checkpoint at the same moment could corrupt the database."""

_SWIFT = ("PRAGMA synchronous = NORMAL", "PRAGMA wal_autocheckpoint = 1000")
_DURABLE = ("PRAGMA synchronous = FULL", "PRAGMA wal_autocheckpoint = 4000")
"""A commit under NORMAL survives a killed process; only FULL survives a power cut, and only accepting needs it.

Whoever accepts has a client waiting, so the write-ahead log is moved into the file by others, unless nobody does and it
grows to four times its usual size."""

_SOON_SECONDS = 0.05
_LOOK_SECONDS = 0.0005

_UNUSABLE = ("disk i/o error", "unable to open", "readonly", "not a database", "malformed")


def sqlite_module() -> ModuleType:
    """The standard library's ``sqlite3`` if its SQLite is safe, else the one that ``pysqlite3`` carries.

    Raises :class:`Unavailable` (``sqlite_unsafe``) if neither is safe.
    """
    if sqlite3.sqlite_version_info >= SAFE_VERSION:
        return sqlite3
    try:
        import pysqlite3.dbapi2 as bundled
    except ImportError:
        version = sqlite3.sqlite_version
    else:
        if bundled.sqlite_version_info >= SAFE_VERSION:
            module: ModuleType = bundled
            return module
        version = bundled.sqlite_version
    raise Unavailable("sqlite_unsafe", version=version, needed=".".join(map(str, SAFE_VERSION)))


class Sqlite:
    """The dialect of one SQLite file."""

    name = "sqlite"

    def __init__(self, path: str, *, busy_timeout_seconds: float) -> None:
        self.path = Path(path)
        self._busy_timeout_seconds = busy_timeout_seconds

    def exists(self) -> bool:
        return self.path.exists()

    def create(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def open(self) -> Engine:
        engine = create_engine(
            f"sqlite:///{self.path}",
            module=sqlite_module(),
            connect_args={"timeout": self._busy_timeout_seconds, "check_same_thread": False},
            pool_size=8,
            max_overflow=64,
            # The one used last has its pages, statements and word counts still at hand.
            pool_use_lifo=True,
            isolation_level=None,
        )

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            # The driver's own transaction handling begins too late for BEGIN IMMEDIATE; we begin ourselves.
            connection.isolation_level = None
            # A vector of 512 numbers fills half of a page of 4096 bytes and wastes the rest; it takes effect at creation.
            connection.execute("PRAGMA page_size = 8192")
            self._use_wal(connection)
            connection.executescript(
                "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
                "PRAGMA cache_size = -16000; PRAGMA journal_size_limit = 67108864; PRAGMA synchronous = NORMAL;"
            )

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            if not options.get("gristmill_write"):
                connection.exec_driver_sql("BEGIN")
                return
            durable = bool(options.get("gristmill_durable"))
            if connection.info.get("durable") is not durable:
                for pragma in _DURABLE if durable else _SWIFT:
                    connection.exec_driver_sql(pragma)
                connection.info["durable"] = durable
            if not (durable and self._begin_soon(connection.connection.driver_connection)):
                connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    def _use_wal(self, connection: Any) -> None:
        """Where several processes make the file at the same moment, SQLite refuses all but one without waiting."""
        until = time.monotonic() + self._busy_timeout_seconds
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except connection.OperationalError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_LOOK_SECONDS)
            else:
                return

    def _begin_soon(self, driver: Any) -> bool:
        """Whether the lock was free or became so shortly.

        Somebody waits for an answer here. SQLite itself soon looks but every 25 ms, and others take the lock meanwhile.
        """
        until = time.monotonic() + _SOON_SECONDS
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                with suppress(driver.OperationalError):
                    driver.execute("BEGIN IMMEDIATE")
                    return True
                if time.monotonic() >= until:
                    return False
                time.sleep(_LOOK_SECONDS)
        finally:
            driver.execute(f"PRAGMA busy_timeout = {int(self._busy_timeout_seconds * 1000)}")

    def has_table(self, connection: Connection, name: str) -> bool:
        return connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).first() is not None

    def prepare_migrations(self, connection: Connection) -> None:
        """Nothing to do: a write transaction is alone."""

    def translate(self, error: DBAPIError) -> GristmillError | None:
        text = str(error.orig).lower()
        if "locked" in text or "busy" in text:
            return Unavailable("database_busy")
        if "full" in text:
            return LimitExceeded("disk_full")
        if any(sign in text for sign in _UNUSABLE):
            return Unavailable("database_unusable", reason=str(error.orig))
        return None

    def was_overtaken(self, error: DBAPIError) -> bool:
        del error  # There is one writer at a time.
        return False
