"""The store and clock of the task tests."""

from tests.unit.tasks.conftest import bench, clock, store

__all__ = ["bench", "clock", "store"]
