"""The task stores that the contract is tested on: a new database is one more entry of ``_OPEN``."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from gristmill.db.database import Database
from gristmill.db.tasks import SqlTaskStore
from gristmill.tasks.ports import TaskStore
from tests.support.clock import TestClock
from tests.support.postgres import fresh_database
from tests.support.tasks import Bench

__all__ = ["ITEMS_LAST_SECONDS", "bench", "task_clock", "task_database", "task_store"]

ITEMS_LAST_SECONDS = 3600


@cache
def _empty_sqlite() -> bytes:
    """A database file after its migrations, made once: hundreds of tests begin with it."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/empty.db")
        database.migrate()
        database.close()
        return database.path.read_bytes()


def _sqlite(tmp_path: Path) -> Database:
    path = tmp_path / "tasks.db"
    path.write_bytes(_empty_sqlite())
    return Database(f"sqlite:///{path}")


def _postgres(_tmp_path: Path) -> Database:
    return Database(fresh_database())


# Called when a test asks for its kind of database, so that one that is not installed costs the others nothing.
_OPEN: Mapping[str, Callable[[Path], Database]] = {"sqlite": _sqlite, "postgres": _postgres}


@pytest.fixture
def task_clock() -> TestClock:
    return TestClock()


@pytest.fixture(params=list(_OPEN))
def task_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind; afterwards no connection may be in use."""
    database = _OPEN[request.param](tmp_path)
    yield database
    in_use = database.checked_out()
    database.close()
    assert in_use == 0


@pytest.fixture
def task_store(task_database: Database, task_clock: TestClock) -> TaskStore:
    return SqlTaskStore(task_database, clock=task_clock, result_expires_seconds=ITEMS_LAST_SECONDS)


@pytest.fixture
def bench(task_store: TaskStore) -> Bench:
    return Bench(task_store)
