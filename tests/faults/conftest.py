"""Stores, workers and services that are about to have a bad day."""

import pytest

from tests.contracts.task_store import bench, task_clock, task_database, task_store
from tests.integration.worker.conftest import make_mill, make_of_database, mill
from tests.support.postgres import fresh_database

__all__ = ["bench", "make_mill", "make_of_database", "mill", "task_clock", "task_database", "task_store"]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Where the rows are: a server, or nothing said."""
    return fresh_database() if request.param == "postgres" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the storm: it takes longest, and everything else runs beside it."""
    items.sort(key=lambda item: item.path.name != "test_chaos.py")
