import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from gristmill.db.database import Database
from gristmill.db.schema import metadata
from gristmill.db.tasks import SqlTaskStore
from gristmill.errors import Conflict, InvalidInput, Unavailable
from tests.support.clock import TestClock
from tests.support.processes import python_environment
from tests.support.tasks import new_task


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'deep' / 'down' / 'gristmill.db'}", busy_timeout_seconds=0.2)
    database.migrate()
    yield database
    in_use = database.checked_out()
    database.close()
    assert in_use == 0


def add_leader(database: Database, name: str) -> None:
    with database.write() as tx:
        tx.exec_driver_sql("INSERT INTO leaders VALUES (?, 'me', 1)", (name,))


def leaders(database: Database) -> set[str]:
    with database.read() as tx:
        return {row[0] for row in tx.exec_driver_sql("SELECT name FROM leaders")}


def test_migrate_creates_the_tables_that_statements_expect_and_then_nothing(database: Database) -> None:
    with database.read() as tx:
        made = {
            table: {row[1] for row in tx.exec_driver_sql(f'PRAGMA table_info("{table}")')} for table in metadata.tables
        }

    assert {table: {column.name for column in metadata.tables[table].columns} for table in made} == made
    assert database.migrate() == []


def test_migrate_refuses_a_database_of_a_newer_version(database: Database) -> None:
    with database.write() as tx:
        tx.exec_driver_sql("INSERT INTO migrations VALUES ('9999_future')")

    with pytest.raises(Conflict) as caught:
        database.migrate()

    assert (caught.value.code, caught.value.facts["migration"]) == ("database_too_new", "9999_future")


_MIGRATOR = """
import sys
from gristmill.db.database import Database
print("ready", flush=True)
sys.stdin.readline()
Database(sys.argv[1]).migrate()
"""


def test_migrate_happens_once_when_processes_start_together(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    command = [sys.executable, "-c", _MIGRATOR, url]

    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=python_environment(),
                )
            )
            for _ in range(4)
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in processes:
            _go(process)
        errors = [process.communicate(timeout=30)[1] for process in processes]

    assert errors == [""] * 4
    database = Database(url)
    assert database.migrate() == []
    database.close()


def _go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_write_keeps_nothing_when_it_raises(database: Database) -> None:
    with suppress(KeyError), database.write() as tx:
        tx.exec_driver_sql("INSERT INTO leaders VALUES ('a', 'me', 1)")
        raise KeyError

    assert leaders(database) == set()


def test_read_sees_one_moment_from_its_first_statement_on(database: Database) -> None:
    with database.read() as tx:
        before = tx.exec_driver_sql("SELECT count(*) FROM leaders").scalar_one()
        add_leader(database, "a")
        after = tx.exec_driver_sql("SELECT count(*) FROM leaders").scalar_one()

    assert (before, after, leaders(database)) == (0, 0, {"a"})


@pytest.mark.parametrize("durable", [True, False])
def test_write_says_unavailable_when_another_holds_the_database_too_long(database: Database, *, durable: bool) -> None:
    with database.write():
        with pytest.raises(Unavailable) as caught, database.write(durable=durable):
            pass
        assert leaders(database) == set()

    assert caught.value.code == "database_busy"
    add_leader(database, "b")
    assert leaders(database) == {"b"}


def test_writes_of_many_threads_wait_for_each_other(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'busy.db'}")
    database.migrate()

    def add(number: int) -> None:
        with database.write(durable=number % 2 == 0) as tx:
            tx.exec_driver_sql("INSERT INTO leaders VALUES (?, 'me', 1)", (str(number),))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(30)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(leaders(database)) == 30
    database.close()


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_durable_writes_wait_for_the_disk_and_only_they(database: Database, *, durable: bool, synchronous: int) -> None:
    for other in (not durable, durable):
        with database.write(durable=other) as tx:
            found = tx.exec_driver_sql("PRAGMA synchronous").scalar_one()

    assert found == synchronous


def test_those_somebody_waits_for_leave_the_log_to_others_for_longer(database: Database) -> None:
    pages = {}
    for durable in (True, False):
        with database.write(durable=durable) as tx:
            pages[durable] = tx.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one()

    assert 0 < pages[False] < pages[True]


@pytest.mark.parametrize(
    "change",
    [
        "state = 'processing'",
        "state = 'processing', worker_id = 'w', waiting = 1",
        "state = 'completed'",
        "finished_at = 1",
        "worker_id = 'w'",
        "state = 'failed', finished_at = 1",
        "state = 'done'",
        "priority = 10",
    ],
)
def test_database_refuses_a_task_that_contradicts_itself(database: Database, change: str) -> None:
    SqlTaskStore(database, clock=TestClock(), result_expires_seconds=1).add([new_task()])

    with pytest.raises(IntegrityError), database.write() as tx:
        tx.exec_driver_sql(f"UPDATE tasks SET {change}")


def test_child_of_a_fork_opens_the_database_itself(database: Database) -> None:
    add_leader(database, "parent")

    pid = os.fork()
    if pid == 0:
        # The child must not return into the test run, whatever happens.
        try:
            add_leader(database, "child")
            os._exit(0 if leaders(database) == {"parent", "child"} else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    add_leader(database, "parent again")
    assert leaders(database) == {"parent", "child", "parent again"}
    with database.read() as tx:
        assert tx.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_close_lets_the_database_be_used_again(database: Database) -> None:
    add_leader(database, "a")
    database.close()
    database.close()

    assert leaders(database) == {"a"}


@pytest.mark.parametrize("url", ["mysql://x", "redis://x", "gristmill.db", ""])
def test_database_refuses_a_url_it_does_not_know(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Database(url)

    assert caught.value.code == "database_url_unknown"


def test_transactions_apart_are_done_on_a_thread_with_the_priority_of_before(database: Database) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    said: ContextVar[str] = ContextVar("said")
    answers: list[tuple[int, int, str]] = []

    def step_back() -> None:
        database.transact_apart()
        os.setpriority(os.PRIO_PROCESS, 0, before + 1)
        said.set("of the task")
        answers.extend(database.transact(look) for _ in range(2))

    def look(tx: Connection) -> tuple[int, int, str]:
        tx.exec_driver_sql("INSERT OR IGNORE INTO leaders VALUES ('a', 'me', 1)")
        return threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0), said.get()

    # Linux knows a priority for each thread; this one dies with it.
    worker = threading.Thread(target=step_back)
    worker.start()
    worker.join()

    threads, priorities, told = zip(*answers, strict=True)
    assert len(set(threads)) == 1
    assert set(threads).isdisjoint({worker.native_id, threading.get_native_id()})
    assert set(priorities) == {before}
    assert set(told) == {"of the task"}
    assert leaders(database) == {"a"}


def test_transaction_apart_that_fails_tells_who_asked_for_it(database: Database) -> None:
    database.transact_apart()

    def fail(tx: Connection) -> None:
        tx.exec_driver_sql("INSERT INTO leaders VALUES ('a', 'me', 1)")
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        database.transact(fail)

    assert leaders(database) == set()
