"""A claim whose answer was lost is found again by whoever made it, and by nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from gristmill.db.database import Database
from gristmill.db.tasks import SqlTaskStore
from gristmill.errors import Unavailable
from gristmill.tasks.model import Completed, TaskState
from tests.contracts.task_store import task_database
from tests.support.clock import TestClock
from tests.support.tasks import WORKER, Bench, new_worker

__all__ = ["task_database"]


class Deafened(Database):
    """A database whose next commit is carried out, while its answer is lost."""

    deaf = False

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        with super().write(durable=durable) as connection:
            yield connection
        if self.deaf:
            self.deaf = False
            raise Unavailable("database_unreachable")


@pytest.fixture
def database(task_database: Database) -> Iterator[Deafened]:
    database = Deafened(task_database.url)
    yield database
    database.close()


@pytest.fixture
def bench(database: Deafened) -> Bench:
    return Bench(SqlTaskStore(database, clock=TestClock(), result_expires_seconds=1))


def claim_in_vain(bench: Bench, database: Deafened, **values: object) -> None:
    database.deaf = True
    with pytest.raises(Unavailable):
        bench.claim(**values)  # type: ignore[arg-type]


def test_claim_that_was_carried_out_unheard_is_answered_by_the_next(bench: Bench, database: Deafened) -> None:
    tasks = [bench.add(), bench.add()]
    claim_in_vain(bench, database, limit=2)

    claimed = bench.claim(limit=2)

    assert [(task.id, task.lease, task.state) for task in claimed] == [
        (task.id, 1, TaskState.PROCESSING) for task in tasks
    ]
    assert [bench.end(task, Completed()).state for task in claimed] == [TaskState.COMPLETED] * 2


def test_it_is_answered_once(bench: Bench, database: Deafened) -> None:
    bench.add()
    claim_in_vain(bench, database)

    assert len(bench.claim()) == 1
    assert bench.claim() == []


def test_it_is_answered_to_its_slot_alone(bench: Bench, database: Deafened) -> None:
    bench.store.register_worker(new_worker("worker-2"))
    bench.add()
    claim_in_vain(bench, database, slot=1)

    assert bench.claim(slot=2) == []
    assert bench.claim(worker="worker-2", slot=1) == []
    assert len(bench.claim(slot=1)) == 1


def test_it_is_answered_to_whoever_asks_for_the_same_task(bench: Bench, database: Deafened) -> None:
    first, second = bench.add(), bench.add()
    claim_in_vain(bench, database, ids=[first.id])

    assert [task.id for task in bench.claim(ids=[second.id])] == [second.id]
    assert [task.id for task in bench.claim(ids=[first.id])] == [first.id]


def test_claim_that_was_not_carried_out_is_made_again(bench: Bench, database: Deafened) -> None:
    task = bench.add()
    bench.store.remove_worker(WORKER, Completed())
    claim_in_vain(bench, database)
    bench.store.register_worker(new_worker())

    assert [claimed.id for claimed in bench.claim()] == [task.id]
