"""Everything moves from one database to another, and back, and is the same there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gristmill.db import schema
from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.db.keys import Keys
from gristmill.db.moving import copy_rows
from gristmill.db.tasks import SqlTaskStore
from gristmill.errors import Conflict
from tests.contracts.shelf import FixedClock, Shelf
from tests.support.clock import TestClock
from tests.support.postgres import fresh_database
from tests.support.tasks import Bench, new_task

_NOT_MOVED = {"leaders"}


@pytest.fixture
def lived_in(tmp_path: Path) -> Iterator[Database]:
    """A database with documents in two languages, tasks in several states, and a key."""
    database = Database(f"sqlite:///{tmp_path / 'lived-in.db'}")
    database.migrate()
    shelf = Shelf(SqlIndexStore(database, clock=FixedClock()), database)
    shelf.index(shelf.document("/a"), ["the apple is red", "苹果是红色的"])
    shelf.index(shelf.document("/orchard.txt"), ["a pear", "a second pear"])
    bench = Bench(SqlTaskStore(database, clock=TestClock(), result_expires_seconds=60))
    bench.store.add([new_task() for _ in range(3)])
    bench.started()
    Keys(database, TestClock()).create("mine", "admin")
    yield database
    database.close()


@pytest.fixture
def empty() -> Iterator[Database]:
    database = Database(fresh_database(migrated=False))
    yield database
    database.close()


def rows(database: Database) -> dict[str, list[Any]]:
    with database.read() as tx:
        return {
            table.name: [tuple(row) for row in tx.execute(select(table).order_by(*table.primary_key.columns))]
            for table in schema.metadata.sorted_tables
            if table.name not in _NOT_MOVED
        }


def test_everything_is_the_same_on_the_other_database_and_back_again(
    lived_in: Database, empty: Database, tmp_path: Path
) -> None:
    back = Database(f"sqlite:///{tmp_path / 'back.db'}")

    copied = copy_rows(lived_in, empty)
    copy_rows(empty, back)

    before = rows(lived_in)
    assert copied == sum(map(len, before.values()))
    assert rows(empty) == before
    assert rows(back) == before
    back.close()


@pytest.mark.parametrize("query", ["apple", "苹果", "pears", "orchard"])
def test_what_was_indexed_is_found_by_its_words_where_it_moved_to(
    lived_in: Database, empty: Database, query: str
) -> None:
    copy_rows(lived_in, empty)

    shelves = [Shelf(SqlIndexStore(database, clock=FixedClock()), database) for database in (lived_in, empty)]

    here, there = (shelf.texts(shelf.store.text(shelf.collection, query, limit=10)) for shelf in shelves)
    assert here
    assert there == here


def test_numbers_go_on_where_they_ended(lived_in: Database, empty: Database) -> None:
    copy_rows(lived_in, empty)
    shelf = Shelf(SqlIndexStore(empty, clock=FixedClock()), empty)
    tasks = SqlTaskStore(empty, clock=TestClock(), result_expires_seconds=60)

    shelf.index(shelf.document("/c"), ["a plum"])
    (task,) = tasks.add([new_task()])

    assert len(rows(empty)["documents"]) == len(rows(lived_in)["documents"]) + 1
    assert task.number > max(row[0] for row in rows(lived_in)["tasks"])


def test_a_database_with_rows_in_it_is_left_alone(lived_in: Database, empty: Database) -> None:
    copy_rows(lived_in, empty)
    before = rows(empty)

    with pytest.raises(Conflict) as caught:
        copy_rows(lived_in, empty)

    assert caught.value.code == "database_not_empty"
    assert rows(empty) == before
