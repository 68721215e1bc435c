"""Stores, workers and services that are about to have a bad day."""

import pytest

from tests.contracts.task_store import bench, task_clock, task_database, task_store
from tests.integration.worker.conftest import make_mill, make_of_database, mill

__all__ = ["bench", "make_mill", "make_of_database", "mill", "task_clock", "task_database", "task_store"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the storm: it takes longest, and everything else runs beside it."""
    items.sort(key=lambda item: item.path.name != "test_chaos.py")
