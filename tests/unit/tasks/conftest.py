"""A real store under a clock that tests own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.db.database import Database
from gristmill.db.tasks import SqlTaskStore
from gristmill.tasks.ports import TaskStore
from tests.support.clock import TestClock
from tests.support.tasks import Bench


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def store(tmp_path: Path, clock: TestClock) -> Iterator[TaskStore]:
    database = Database(f"sqlite:///{tmp_path / 'tasks.db'}")
    database.migrate()
    yield SqlTaskStore(database, clock=clock, result_expires_seconds=3600)
    database.close()


@pytest.fixture
def bench(store: TaskStore) -> Bench:
    return Bench(store)
