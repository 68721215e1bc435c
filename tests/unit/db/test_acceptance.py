import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from gristmill.clock import SystemClock
from gristmill.db.database import Database
from gristmill.db.tasks import SqlTaskStore
from gristmill.errors import Unavailable
from gristmill.tasks.model import NewTask, Task, TaskFilter
from tests.support.tasks import new_task
from tests.support.waiting import eventually

_OTHERS = 12


class GatedDatabase(Database):
    """Counts its durable transactions; the first waits at its gate, so that a crowd gathers behind it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.transactions = 0
        self.refuses = False

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        if durable:
            self.transactions += 1
            self.begun.set()
            assert self.gate.wait(30)
            if self.refuses and self.transactions > 1:
                raise Unavailable("database_busy")
        with super().write(durable=durable) as tx:
            yield tx


@pytest.fixture
def database(tmp_path: Path) -> Iterator[GatedDatabase]:
    database = GatedDatabase(f"sqlite:///{tmp_path}/tasks.db")
    database.gate.set()
    database.migrate()
    database.gate.clear()
    database.begun.clear()
    database.transactions = 0
    yield database
    assert database.checked_out() == 0
    database.close()


def add_together(
    database: GatedDatabase, requests: list[list[NewTask]]
) -> tuple[SqlTaskStore, list[list[Task] | BaseException]]:
    """What comes of ``requests``, all but the first of which are handed in while the first is being written."""
    store = SqlTaskStore(database, clock=SystemClock(), result_expires_seconds=60)

    def add(request: list[NewTask]) -> list[Task] | BaseException:
        try:
            return store.add(request)
        except Exception as error:  # noqa: BLE001 - any is an answer here
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        first = pool.submit(add, requests[0])
        assert database.begun.wait(30)
        others = [pool.submit(add, request) for request in requests[1:]]
        eventually(lambda: len(store._acceptance._waiting) == len(others))
        database.gate.set()
        return store, [answer.result() for answer in (first, *others)]


def test_what_is_handed_in_during_a_transaction_shares_the_next(database: GatedDatabase) -> None:
    requests = [[new_task() for _ in range(size % 3 + 1)] for size in range(1 + _OTHERS)]

    store, answers = add_together(database, requests)

    assert database.transactions == 2
    accepted = [answer for answer in answers if isinstance(answer, list)]
    assert [[task.id for task in answer] for answer in accepted] == [
        [task.id for task in request] for request in requests
    ]
    assert sum(store.counts(TaskFilter()).values()) == sum(map(len, requests))


def test_a_conflict_is_told_to_the_one_who_made_it(database: GatedDatabase) -> None:
    known = new_task(idempotency_key="key", request_hash="one")
    wrong = new_task(idempotency_key="key", request_hash="another")
    requests = [[known], [new_task()], [wrong], [new_task(payload={"n": float("nan")})], [new_task()]]

    store, answers = add_together(database, requests)

    assert [type(answer).__name__ for answer in answers] == ["list", "list", "Conflict", "ValueError", "list"]
    assert sum(store.counts(TaskFilter()).values()) == 3


def test_a_database_that_cannot_serve_is_told_to_all_at_once(database: GatedDatabase) -> None:
    database.refuses = True

    store, answers = add_together(database, [[new_task()] for _ in range(1 + _OTHERS)])

    assert [type(answer) for answer in answers[1:]] == [Unavailable] * _OTHERS
    assert database.transactions == 2
    assert sum(store.counts(TaskFilter()).values()) == 1
