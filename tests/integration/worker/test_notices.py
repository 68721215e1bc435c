"""Workers on another machine hear of new work at once: through the database server, not by looking again and again."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from gristmill.settings import dump_settings
from gristmill.tasks.model import TaskFilter, TaskState
from tests.integration.worker.conftest import Mill
from tests.support.postgres import fresh_database
from tests.support.processes import python_environment
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("make_of_database", ["postgres"], indirect=True)


@pytest.fixture
def mills(make_mill: Callable[..., Mill]) -> tuple[Mill, Mill]:
    """Two data directories, as two machines have them, on one server."""
    database = {"url": fresh_database()}
    here, there = make_mill(database=database), make_mill(database=database)
    return here, there


@contextmanager
def trusting_worker(mill: Mill) -> Iterator[None]:
    """A worker that runs only what it is told of, ready and listening."""
    log = mill.folder / "worker-trusting.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.support.trusting", json.dumps(dump_settings(mill.app.settings))],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=python_environment(),
        )
    mill.workers.append(worker)
    eventually(lambda: "slot.started" in log.read_text("utf-8") and listening(mill), 30)
    yield


def listening(mill: Mill) -> list[int]:
    """The processes of the server that listen for somebody."""
    with mill.app.database.read() as tx:
        statement = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN gristmill'"
        return list(tx.exec_driver_sql(statement).scalars())


def completed(mill: Mill) -> int:
    return mill.app.store.counts(TaskFilter()).get(TaskState.COMPLETED, 0)


def test_task_that_was_handed_in_elsewhere_begins_without_anybody_looking_for_it(mills: tuple[Mill, Mill]) -> None:
    here, there = mills
    with trusting_worker(there):
        for number in range(3):
            task = here.app.tasks.submit("ping", {"note": str(number)})

            here.ended(task)


def test_worker_that_lost_its_ears_hears_again(mills: tuple[Mill, Mill]) -> None:
    here, there = mills
    with trusting_worker(there):
        (before,) = listening(here)
        with psycopg.connect(here.app.database.url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (before,))
        eventually(lambda: set(listening(here)) - {before})

        here.app.tasks.submit("ping", {"note": "after"})

        eventually(lambda: completed(here) == 1, 20)


def test_command_that_ends_at_once_has_told_the_others_before(mills: tuple[Mill, Mill]) -> None:
    here, there = mills
    with trusting_worker(there):
        here.app.tasks.submit("ping", {"note": "the last thing done"})
        here.app.close()

        eventually(lambda: completed(there) == 1, 20)
