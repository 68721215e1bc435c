"""One API with a worker for tests of work that gets done, one without for all others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import fresh_database
from tests.support.service import Service, serving, working
from tests.support.tasks import Bench
from tests.support.waiting import eventually


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose files clients may name by path."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "mill.txt").write_text("The wheel turns the stones.", "utf-8")
    (folder / "weir.md").write_text("# Weir\n\nThe weir holds the water back.", "utf-8")
    return folder


@pytest.fixture(scope="session")
def mill(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Iterator[Service]:
    """An API with a live worker; shared, so each test uses a collection of its own."""
    data = tmp_path_factory.mktemp("mill")
    with serving(data, {"sources": {"roots": [library]}}) as service, working(data):
        eventually(lambda: service.get("/health/ready").ok, seconds=30)
        yield service


def small_limits(library: Path) -> dict[str, dict[str, Any]]:
    return {
        "sources": {"roots": [library], "max_file_mb": 1, "max_files_per_request": 5},
        "index": {"sync_wait_seconds": 0.05},
    }


@pytest.fixture
def api(tmp_path: Path, library: Path) -> Iterator[Service]:
    """A fresh API without a worker, so that nothing moves unless the test moves it."""
    with serving(tmp_path / "data", small_limits(library)) as service:
        yield service


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Iterator[Service]:
    """The same, shared by tests to which it does not matter what others have left."""
    with serving(tmp_path_factory.mktemp("used"), small_limits(library)) as service:
        yield service


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same on each database."""
    database = {"url": fresh_database()} if request.param == "postgres" else {}
    with serving(tmp_path_factory.mktemp("kept"), {"database": database}) as service:
        yield service


@pytest.fixture(scope="session")
def bench(kept: Service) -> Bench:
    """Brings tasks of ``kept`` into every state; each test looks at tasks of its own."""
    return Bench(kept.app.store)
