"""The implementations that every contract is tested on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from tests.contracts.shelf import FixedClock, Shelf
from tests.contracts.task_store import bench, task_clock, task_database, task_store
from tests.support.postgres import fresh_database

__all__ = ["bench", "task_clock", "task_database", "task_store"]


@pytest.fixture
def index_clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(params=["sqlite", "postgres"])
def index_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind; afterwards no connection may be in use."""
    database = Database(f"sqlite:///{tmp_path / 'index.db'}" if request.param == "sqlite" else fresh_database())
    database.migrate()
    yield database
    in_use = database.checked_out()
    database.close()
    assert in_use == 0


@pytest.fixture
def index_store(index_database: Database, index_clock: FixedClock) -> SqlIndexStore:
    return SqlIndexStore(index_database, clock=index_clock)


@pytest.fixture
def shelf(index_store: SqlIndexStore, index_database: Database) -> Shelf:
    """A collection of the store, ready to be filled."""
    return Shelf(index_store, index_database)
