"""What a Postgres server may do to us, told in words of ours, and what becomes of the connections to it."""

import select
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import pytest

from gristmill.db.database import Database
from gristmill.db.tasks import SqlTaskStore
from gristmill.errors import GristmillError, LimitExceeded, Unavailable
from gristmill.tasks.model import TaskFilter
from tests.support.clock import TestClock
from tests.support.postgres import OwnServer, fresh_database, own_server
from tests.support.tasks import new_task


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server("-c", "max_connections=12") as server:
        yield server


@pytest.fixture
def database(server: OwnServer) -> Iterator[Database]:
    database = Database(server.url(), busy_timeout_seconds=0.3)
    database.migrate()
    yield database
    in_use = database.checked_out()
    database.close()
    assert in_use == 0


def refusal(database: Database) -> GristmillError:
    with pytest.raises(GristmillError) as caught, database.read():
        pass
    return caught.value


def count(database: Database) -> int:
    with database.read() as tx:
        return int(tx.exec_driver_sql("SELECT count(*) FROM tasks").scalar_one())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL], ids=lambda number: number.name)
def test_server_that_was_restarted_is_not_noticed_by_what_begins_afterwards(
    server: OwnServer, database: Database, number: signal.Signals
) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(database.read())
    before = count(database)

    server.restart(number)

    assert count(database) == before


def test_server_that_is_away_is_unavailable_until_it_is_back(server: OwnServer, database: Database) -> None:
    before = count(database)
    server.stop()

    away = refusal(database)
    server.start()

    assert (away.code, away.transient) == ("database_unreachable", True)
    assert count(database) == before


def test_transaction_that_loses_its_connection_is_unavailable(server: OwnServer, database: Database) -> None:
    def lose() -> None:
        with database.write() as tx:
            server.end_connections()
            tx.exec_driver_sql("SELECT 1")

    with pytest.raises(Unavailable) as caught:
        lose()

    assert caught.value.code == "database_unreachable"
    count(database)


def test_what_is_accepted_while_every_connection_ends_again_and_again_is_accepted_once(
    server: OwnServer, database: Database
) -> None:
    store = SqlTaskStore(database, clock=TestClock(), result_expires_seconds=1)
    before = count(database)
    enough = threading.Event()
    ended: list[int] = []

    def disturb() -> None:
        while not enough.is_set():
            ended.append(server.end_connections())

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        accepted = 0
        while sum(ended) < 20:
            task = new_task()
            while True:
                try:
                    store.add([task])
                except Unavailable:
                    continue
                break
            accepted += 1
    finally:
        enough.set()
        disturber.join()

    assert count(database) == before + accepted
    assert sum(store.counts(TaskFilter()).values()) == before + accepted


def test_server_that_takes_no_more_connections_says_so(server: OwnServer, database: Database) -> None:
    count(database)
    with ExitStack() as stack:
        with suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(server.url()))
        one_more = refusal(Database(server.url()))
        # What is open already goes on.
        count(database)

    assert one_more.code == "database_crowded"
    assert "too many clients" in one_more.message()


def test_process_that_uses_all_its_connections_is_busy(server: OwnServer) -> None:
    database = Database(server.url(), connections=4)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(database.read())

        assert refusal(database).code == "database_busy"

    count(database)
    database.close()


def test_wrong_user_is_refused_with_the_words_of_the_server(server: OwnServer) -> None:
    error = refusal(Database(server.url(user="stranger")))

    assert error.code == "database_refused"
    assert 'role "stranger" does not exist' in error.message()


def test_wrong_database_is_refused_with_the_words_of_the_server(server: OwnServer) -> None:
    assert 'database "nowhere" does not exist' in refusal(Database(server.url("nowhere"))).message()


def test_server_that_only_reads_refuses_writes_alone(server: OwnServer, database: Database) -> None:
    store = SqlTaskStore(database, clock=TestClock(), result_expires_seconds=1)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("ALTER DATABASE gristmill SET default_transaction_read_only = on")
    database.close()
    try:
        with pytest.raises(Unavailable) as caught:
            store.add([new_task()])
        count(database)
    finally:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("ALTER DATABASE gristmill RESET default_transaction_read_only")
        database.close()

    assert caught.value.code == "database_read_only"
    store.add([new_task()])


def test_row_that_another_holds_too_long_is_busy(database: Database) -> None:
    store = SqlTaskStore(database, clock=TestClock(), result_expires_seconds=1)
    (task,) = store.add([new_task()])
    with database.write() as tx:
        tx.exec_driver_sql("SELECT 1 FROM tasks WHERE id = %s FOR UPDATE", (task.id,))

        with pytest.raises(Unavailable) as caught:
            store.set_priority(TaskFilter(ids=[task.id]), 9)

    assert caught.value.code == "database_busy"


def test_transaction_in_which_nothing_happens_is_ended_by_the_server(database: Database) -> None:
    allowed: list[str] = []

    def stand_still() -> None:
        with database.write() as tx:
            allowed.append(tx.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one())
            tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 1")
            driver: Any = tx.connection.driver_connection
            select.select([driver], [], [])
            tx.exec_driver_sql("SELECT 1")

    with pytest.raises(Unavailable) as caught:
        stand_still()

    assert (caught.value.code, allowed) == ("database_unreachable", ["15s"])
    count(database)


@pytest.mark.parametrize(
    ("state", "kind", "code"),
    [
        ("53100", LimitExceeded, "disk_full"),
        ("53200", Unavailable, "database_busy"),
        ("57014", Unavailable, "database_busy"),
        ("57P03", Unavailable, "database_unreachable"),
        ("42501", Unavailable, "database_forbids"),
    ],
)
def test_trouble_of_the_server_is_told_by_its_state(
    database: Database, state: str, kind: type[GristmillError], code: str
) -> None:
    # The server itself raises it: only its cause is made up.
    with pytest.raises(kind) as caught, database.write() as tx:
        tx.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'trouble' USING ERRCODE = '{state}'; END $$")

    assert caught.value.code == code


def test_every_write_waits_for_the_disk(database: Database) -> None:
    for durable in (False, True):
        with database.write(durable=durable) as tx:
            assert tx.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_user_who_may_not_make_the_extension_is_told_what_to_do() -> None:
    url = fresh_database(migrated=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS tenant")
        connection.execute("CREATE ROLE tenant LOGIN")
        name = connection.info.dbname
        connection.execute(f'GRANT ALL ON DATABASE "{name}" TO tenant')

    tenant = Database(url.replace("postgres:@", "tenant@"))

    with pytest.raises(Unavailable) as caught:
        tenant.migrate()
    tenant.close()

    assert caught.value.code == "database_forbids"
    assert "CREATE EXTENSION vector" in caught.value.message()
