"""Notices are few however much happens, reach whoever listens elsewhere, and depend on no connection."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gristmill.db.database import Database
from gristmill.db.notices import PAUSE_SECONDS, Notices
from tests.support.postgres import fresh_database
from tests.support.waiting import eventually


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database(fresh_database())
    yield database
    in_use = database.checked_out()
    database.close()
    assert in_use == 0


@pytest.fixture
def here(database: Database, tmp_path: Path) -> Iterator[Notices]:
    yield from _notices(database, tmp_path / "here")


@pytest.fixture
def there(database: Database, tmp_path: Path) -> Iterator[Notices]:
    yield from _notices(database, tmp_path / "there")


def _notices(database: Database, directory: Path) -> Iterator[Notices]:
    directory.mkdir()
    notices = Notices(database, directory)
    yield notices
    notices.close()


class Sleeper:
    """Counts how often it was woken."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


def test_call_is_heard_elsewhere(here: Notices, there: Notices) -> None:
    sleeper = Sleeper()
    ears = there.listen(sleeper.wake)
    eventually(lambda: sleeper.woken == 1)

    here.call()

    eventually(lambda: sleeper.woken == 2)
    ears.close()


def test_call_is_not_heard_by_those_who_share_a_bell(database: Database, here: Notices, there: Notices) -> None:
    near, far = Sleeper(), Sleeper()
    near_ears, far_ears = here.listen(near.wake), there.listen(far.wake)
    eventually(lambda: (near.woken, far.woken) == (1, 1))

    here.call()
    eventually(lambda: far.woken == 2)
    # Notices come in the order in which they were given.
    there.call()
    eventually(lambda: near.woken == 2)

    near_ears.close()
    far_ears.close()
    assert (near.woken, far.woken) == (2, 2)


def test_thousand_calls_are_few_notices_of_which_one_follows_the_last_call(database: Database, here: Notices) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("LISTEN gristmill")
        began = time.monotonic()
        for _ in range(1000):
            here.call()
        here.close()
        took = time.monotonic() - began
        heard = len(list(connection.notifies(timeout=0.5)))

    # One at once, one for each pause that the calls lasted, and those that are on their way at the end.
    assert 1 <= heard <= took / PAUSE_SECONDS + 3


def test_notice_follows_a_call_after_each_quiet_moment(database: Database, here: Notices) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("LISTEN gristmill")
        for _ in range(3):
            here.call()

            assert len(list(connection.notifies(timeout=10, stop_after=1))) == 1


def test_ears_that_lost_their_connection_hear_again_and_wake_for_what_they_missed(
    database: Database, here: Notices, there: Notices
) -> None:
    sleeper = Sleeper()
    ears = there.listen(sleeper.wake)
    eventually(lambda: sleeper.woken == 1)

    with database.read() as tx:
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
        assert tx.exec_driver_sql(statement).scalars().all() == [True]

    eventually(lambda: sleeper.woken == 2)
    here.call()
    eventually(lambda: sleeper.woken == 3)
    ears.close()


def test_nothing_is_said_and_nobody_waits_where_no_server_answers(tmp_path: Path) -> None:
    notices = Notices(Database(f"postgresql://nobody@/nothing?host={tmp_path}"), tmp_path)
    sleeper = Sleeper()

    ears = notices.listen(sleeper.wake)
    notices.call()
    ears.close()
    notices.close()

    assert sleeper.woken == 0
    assert [thread.name for thread in threading.enumerate() if thread.name in {"notices", "ears"}] == []
