"""The database both stores share: opens lazily in each process, begins transactions, brings the schema up to date.

Knows no table. What differs between databases is asked of the dialect.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from contextvars import copy_context
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Dialect as SqlDialect
from sqlalchemy import Engine, Select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.sql.compiler import SQLCompiler

from gristmill.db.dialect import dialect_for
from gristmill.db.sqlite import Sqlite
from gristmill.errors import Conflict, Unavailable

__all__ = ["Database"]

_APPLIED = text("SELECT name FROM migrations ORDER BY name")
_TRIES = 4
_CONNECTIONS = 20
_T = TypeVar("_T")

_APPLY = text("INSERT INTO migrations (name) VALUES (:name)")


@lru_cache
def _compiled(statement: Callable[[str], Select[Any]], dialect: SqlDialect) -> SQLCompiler:
    compiled = statement(dialect.name).compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    return compiled


class _Apart:
    """A thread of this process that does what others hand to it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        # A thread takes after the one that starts it, and this one starts with the first thing to do.
        self._thread.submit(int).result()

    def do(self, work: Callable[[], _T]) -> _T:
        return self._thread.submit(copy_context().run, work).result()

    def end(self) -> None:
        self._thread.shutdown()


class Database:
    """One database, by URL: ``sqlite:///path`` or ``postgresql://user@host/name``."""

    def __init__(self, url: str, *, busy_timeout_seconds: float = 30.0, connections: int = _CONNECTIONS) -> None:
        self.url = url
        self._dialect = dialect_for(url, busy_timeout_seconds=busy_timeout_seconds, connections=connections)
        self._engine: Engine | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._apart: _Apart | None = None

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
        with self._translated(), self._begun() as connection:
            yield connection

    def look(self, statement: Callable[[str], Select[Any]], values: dict[str, Any]) -> Sequence[Any]:
        """The rows of one SELECT, which ``statement`` makes for a dialect's name, as the driver gives them: tuples.

        For what is asked once for each document: it sees one moment by itself, and a transaction around it and all
        that SQLAlchemy does for it would take longer than the answer.
        """
        engine = self._open()
        compiled = _compiled(statement, engine.dialect)
        named = compiled.construct_params(values)
        parameters = [named[name] for name in compiled.positiontup] if compiled.positiontup else named
        driver: Any = None
        rows: Sequence[Any]
        with self._translated():
            try:
                with closing(engine.raw_connection()) as connection:
                    driver = connection.driver_connection
                    rows = driver.execute(compiled.string, parameters).fetchall()
            except engine.dialect.loaded_dbapi.Error as error:
                if driver is None or not engine.dialect.is_disconnect(error, driver, None):
                    raise DBAPIError(compiled.string, named, error) from error
            else:
                return rows
        # Kept open from before the server was restarted; the long way opens another.
        with self.read() as transaction:
            return transaction.execute(statement(engine.dialect.name), values).all()

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """A write transaction, alone from its first moment; ``durable`` waits for the disk at commit."""
        with self._translated(), self._begun(gristmill_write=True, gristmill_durable=durable) as connection:
            yield connection

    @contextmanager
    def _begun(self, **options: bool) -> Iterator[Connection]:
        with ExitStack() as stack:
            connection = stack.enter_context(self._open().connect()).execution_options(**options)
            try:
                transaction = connection.begin()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # Kept open from before the server was restarted, like all others of the pool, which knows by now.
                # To ask each time whether it still is there would cost every transaction a round trip.
                connection = stack.enter_context(self._open().connect()).execution_options(**options)
                transaction = connection.begin()
            with transaction:
                yield connection

    def transact_apart(self) -> None:
        """Have :meth:`transact` do its work on a thread that keeps the priority which the calling thread has now.

        SQLite has one writer at a time: one that has stepped back for others and is kept from the processor in the
        middle of its transaction keeps all others waiting, those for whom it stepped back among them.
        """
        self._apart = _Apart()

    def transact(self, work: Callable[[Connection], _T], *, durable: bool = False, once: bool = False) -> _T:
        """What ``work`` returns, done in one write transaction; done again if another got in its way.

        Two that insert the same thing, or wait for each other, only meet where there is more than one writer. Also
        done again if the connection broke, be it before the end or after, unheard: it must be no matter to ``work``
        whether it was done already, or it is to be done ``once``.
        """
        transaction = partial(self._transact, work, durable=durable, again=0 if once else _TRIES - 1)
        apart = self._apart
        return transaction() if apart is None or apart.pid != os.getpid() else apart.do(transaction)

    def _transact(self, work: Callable[[Connection], _T], *, durable: bool, again: int) -> _T:
        for _ in range(again):
            try:
                with self.write(durable=durable) as connection:
                    return work(connection)
            except Unavailable as error:
                cause = error.__cause__
                if not isinstance(cause, DBAPIError):
                    raise
                if not (cause.connection_invalidated or self._dialect.was_overtaken(cause)):
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
        except NoneFree as error:
            raise Unavailable("database_busy") from error

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
            self._dialect.prepare_migrations(connection)
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
        """Close this process's connections, and end the thread of :meth:`transact_apart`."""
        if self._apart is not None and self._apart.pid == os.getpid():
            self._apart.end()
        self._apart = None
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None
