"""Stores, workers and services that are about to have a bad day."""

from tests.contracts.task_store import bench, task_clock, task_database, task_store
from tests.integration.worker.conftest import make_mill, mill

__all__ = ["bench", "make_mill", "mill", "task_clock", "task_database", "task_store"]
