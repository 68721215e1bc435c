"""The engines, each on the databases it is promised for."""

import pytest

__all__ = ["every_pair"]

every_pair = pytest.mark.parametrize(
    ("engine", "make_of_database"),
    [("local", "sqlite"), ("local", "postgres"), ("celery", "sqlite"), ("celery", "postgres"), ("rq", "postgres")],
    indirect=["make_of_database"],
)
"""For tests that take ``engine`` and open what they try with the fixture ``make_mill``."""
