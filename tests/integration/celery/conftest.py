"""The Celery engine, over each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.celery_bench import CeleryBench, celery_bench
from tests.support.postgres import fresh_database
from tests.support.valkey import fresh_broker


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[CeleryBench]:
    """The rows are in a file."""
    with celery_bench(tmp_path, fresh_broker()) as bench:
        yield bench


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CeleryBench]:
    """The rows are in a file, and in a server."""
    database = fresh_database() if request.param == "postgres" else None
    with celery_bench(tmp_path, fresh_broker(), database) as bench:
        yield bench
