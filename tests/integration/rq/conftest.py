"""The RQ engine, over each database.

Another version of RQ, and rq-dashboard, are tried without being installed beside this one::

    uv pip install --target other --no-deps rq==2.9.0
    uv pip install --target dashboard rq-dashboard && rm -r dashboard/rq dashboard/redis
    PYTHONPATH=other:dashboard python -m pytest tests/integration/rq tests/faults/test_rq_killed.py
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import fresh_database
from tests.support.rq_bench import RqBench, rq_bench
from tests.support.valkey import fresh_broker


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RqBench]:
    """The rows are in a file."""
    with rq_bench(tmp_path / "data", fresh_broker()) as bench:
        yield bench


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RqBench]:
    """The rows are in a file, and in a server."""
    database = fresh_database() if request.param == "postgres" else None
    with rq_bench(tmp_path / "data", fresh_broker(), database) as bench:
        yield bench
