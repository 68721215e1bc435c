"""The end of the event log: every event once, in an order that nothing is added to afterwards."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection

from gristmill.db.database import Database
from gristmill.db.tasks.moves import add_tasks
from gristmill.tasks.model import Event
from gristmill.tasks.ports import EventTail, TaskStore
from tests.support.clock import TestClock
from tests.support.tasks import Bench, new_task
from tests.support.waiting import eventually

WRITERS = 6
EACH = 60


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def read_all(tail: EventTail) -> list[Event]:
    """Everything there is to read for now."""
    found: list[Event] = []
    while events := tail.read(limit=3):
        found += events
    return found


@contextmanager
def held_back(database: Database, clock: TestClock, *, rolled_back: bool = False) -> Iterator[str]:
    """A task that is being accepted in a transaction which ends with the block."""
    task = new_task()
    transaction: Connection
    with database.write() as transaction:
        add_tasks(transaction, [task], clock.now())
        yield task.id
        if rolled_back:
            transaction.rollback()


several_writers = pytest.mark.parametrize("task_database", ["postgres"], indirect=True)
"""SQLite has one writer at a time."""


def read_soon(tail: EventTail) -> list[Event]:
    """What there is to read once those that others have open on the same server are over."""
    return eventually(lambda: read_all(tail), 30)


def test_tail_tells_what_comes_after_a_position_each_once(bench: Bench) -> None:
    first = bench.add()
    (submitted,) = bench.events(first)
    tail = bench.store.tail(after=submitted.seq)
    second = bench.add()
    bench.take(first.id)

    told = read_all(tail)

    assert [(event.task_id, event.name) for event in told] == [(second.id, "submitted"), (first.id, "claimed")]
    assert tail.position == told[-1].seq
    assert read_all(tail) == []


def test_tail_without_a_position_begins_at_the_end(bench: Bench) -> None:
    bench.add()
    tail = bench.store.tail()

    assert read_all(tail) == []
    assert tail.position is not None
    bench.add()
    assert names(read_all(tail)) == ["submitted"]


def test_tail_of_an_empty_log_begins_at_its_beginning(bench: Bench) -> None:
    tail = bench.store.tail()
    assert (read_all(tail), tail.position) == ([], 0)
    bench.add()
    assert names(read_all(tail)) == ["submitted"]


@several_writers
def test_event_that_is_committed_late_is_told_in_its_place(
    task_database: Database, bench: Bench, task_clock: TestClock
) -> None:
    tail = bench.store.tail(after=0)
    with held_back(task_database, task_clock) as late:
        early = bench.add()
        # A position behind it would make whoever resumes there miss it.
        assert read_all(tail) == []
        assert tail.position == 0

    assert [event.task_id for event in read_soon(tail)] == [late, early.id]


@several_writers
def test_event_is_told_in_its_place_although_its_transaction_is_younger_than_that_of_the_next(
    task_database: Database, bench: Bench, task_clock: TestClock
) -> None:
    tail = bench.store.tail(after=0)
    early = new_task()
    older = ExitStack()
    connection = older.enter_context(task_database.write())
    connection.execute(text("SELECT pg_current_xact_id()"))
    with held_back(task_database, task_clock) as late:
        add_tasks(connection, [early], task_clock.now())
        older.close()
        assert read_all(tail) == []

    assert [event.task_id for event in read_soon(tail)] == [late, early.id]


@several_writers
def test_event_that_was_rolled_back_holds_up_nothing(
    task_database: Database, bench: Bench, task_clock: TestClock
) -> None:
    tail = bench.store.tail(after=0)
    with held_back(task_database, task_clock, rolled_back=True):
        kept = bench.add()
        assert read_all(tail) == []

    assert [event.task_id for event in read_soon(tail)] == [kept.id]


@several_writers
def test_number_that_was_rolled_back_does_not_wait_for_transactions_that_began_later(
    task_database: Database, bench: Bench, task_clock: TestClock
) -> None:
    tail = bench.store.tail(after=0)
    with held_back(task_database, task_clock, rolled_back=True):
        kept = bench.add()
        assert read_all(tail) == []
    with held_back(task_database, task_clock):
        assert [event.task_id for event in read_soon(tail)] == [kept.id]


@several_writers
def test_tail_does_not_begin_behind_an_event_that_is_still_to_come(
    task_database: Database, bench: Bench, task_clock: TestClock
) -> None:
    tail = bench.store.tail()
    with held_back(task_database, task_clock) as late:
        other = bench.add()
        assert tail.read() == []
        assert tail.position is None

    def begun() -> int | None:
        assert tail.read() == []
        return tail.position

    position = eventually(begun, 30)
    assert position is not None
    assert {event.task_id for event in bench.store.events() if event.seq <= position} == {late, other.id}


@several_writers
def test_transaction_that_stays_open_for_long_is_not_waited_for(
    task_database: Database, bench: Bench, task_clock: TestClock
) -> None:
    tail = bench.store.tail(after=0)
    with held_back(task_database, task_clock):
        other = bench.add()
        assert read_all(tail) == []
        task_clock.pass_time(31)
        assert [event.task_id for event in read_all(tail)] == [other.id]


def test_tail_misses_nothing_that_many_write_at_once(task_store: TaskStore) -> None:
    tail = task_store.tail(after=0)
    told: list[Event] = []
    ended = threading.Event()

    def follow() -> None:
        while True:
            last = ended.is_set()
            told.extend(read_all(tail))
            if last:
                return

    def write(number: int) -> None:
        for size in range(EACH):
            task_store.add([new_task() for _ in range(1 + (size + number) % 4)])

    follower = threading.Thread(target=follow)
    follower.start()
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(write, range(WRITERS)))
    ended.set()
    follower.join()

    everything: list[Event] = []
    while page := task_store.events(after=everything[-1].seq if everything else 0):
        everything += page
    assert told == everything
