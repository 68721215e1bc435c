"""Both databases end in the same shape, and answer the queries that their users keep."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.db.database import Database
from gristmill.db.schema import metadata
from gristmill.db.tasks import SqlTaskStore
from gristmill.tasks.model import Completed, Failed
from tests.support.clock import TestClock
from tests.support.postgres import fresh_database
from tests.support.tasks import ERROR, Bench

ACTIVE = "SELECT * FROM v_active_index_tasks"
DURATIONS = {
    "sqlite": (
        "SELECT status, AVG((julianday(completed_at) - julianday(started_at)) * 86400) AS seconds "
        "FROM index_tasks WHERE completed_at IS NOT NULL GROUP BY status ORDER BY status"
    ),
    "postgres": (
        "SELECT status, AVG(EXTRACT(EPOCH FROM (completed_at - started_at))) AS seconds "
        "FROM index_tasks WHERE completed_at IS NOT NULL GROUP BY status ORDER BY status"
    ),
}
LATEST = (
    "SELECT id, task_id, task_type, status, progress, created_at FROM index_tasks ORDER BY created_at DESC LIMIT 20"
)

# Each make has words of its own, and vectors that only one of them has an index for.
OWN_TABLES = re.compile(r"chunk_words(_\w+)?|chunk_vocabulary|sqlite_\w+")
_FAMILIES = {
    "BIGINT": "whole",
    "INTEGER": "whole",
    "SMALLINT": "whole",
    "BOOLEAN": "whole",
    "TEXT": "text",
    "REAL": "fraction",
    "DOUBLE PRECISION": "fraction",
    "BLOB": "vector",
    "USER-DEFINED": "vector",
}


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'one.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def postgres() -> Iterator[Database]:
    database = Database(fresh_database(migrated=False))
    database.migrate()
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    made: Database = request.getfixturevalue(request.param)
    return made


def rows(database: Database, statement: str) -> list[Any]:
    with database.read() as tx:
        return list(tx.exec_driver_sql(statement))


def tables(database: Database) -> set[str]:
    statement = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
        "postgres": "SELECT table_name FROM information_schema.tables "
        "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'",
    }[database.dialect]
    return {row[0] for row in rows(database, statement) if not OWN_TABLES.fullmatch(row[0])}


Column = tuple[str, bool, str | None]
"""What family of types it is of, whether it may be null, and what it is by default."""


def columns(database: Database, table: str) -> dict[str, Column]:
    if database.dialect == "sqlite":
        found = rows(database, f'PRAGMA table_info("{table}")')
        # A key is never null, whether or not SQLite was told so.
        return {row[1]: (_family(row[2]), not (row[3] or row[5]), _plain(row[4])) for row in found}
    statement = (
        "SELECT column_name, data_type, is_nullable = 'YES', column_default FROM information_schema.columns "
        f"WHERE table_schema = current_schema() AND table_name = '{table}'"
    )
    return {row[0]: (_family(row[1]), row[2], _plain(row[3])) for row in rows(database, statement)}


def _family(declared: str) -> str:
    return _FAMILIES[declared.upper()]


def _plain(expression: str | None) -> str | None:
    """An expression without what only one of the two writes: casts, brackets, true for 1, lists for alternatives."""
    if expression is None:
        return None
    text = re.sub(r"::\w+(\[\])?", "", expression.lower())
    text = re.sub(r"= any \(array\[(.*?)\]\)", r"in (\1)", text)
    text = re.sub(r"\btrue\b", "1", re.sub(r"\bfalse\b", "0", text))
    return re.sub(r'[\s()"]', "", text)


Index = tuple[tuple[str, ...], bool, str | None]
"""Its columns in order, whether it is unique, and the rows that it is of."""


def indexes(database: Database) -> dict[str, Index]:
    statement = {
        "sqlite": "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgres": "SELECT indexname, tablename, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
    }[database.dialect]
    return {
        name: _index(definition)
        for name, table, definition in rows(database, statement)
        # A constraint has an index that each names in its own way; the constraints are tried by what they refuse.
        if not OWN_TABLES.fullmatch(table) and not re.search(r"_(p?key|pk)$", name)
    }


def _index(definition: str) -> Index:
    text = " ".join(definition.split())
    head, _, predicate = text.partition(" WHERE ")
    listed = head[head.index("(") + 1 : head.rindex(")")]
    return (
        tuple(_plain(part) or "" for part in listed.split(",")),
        head.upper().startswith("CREATE UNIQUE"),
        _plain(predicate or None),
    )


def views(database: Database) -> dict[str, list[str]]:
    statement = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'view'",
        "postgres": "SELECT table_name FROM information_schema.views WHERE table_schema = current_schema()",
    }[database.dialect]
    with database.read() as tx:
        return {
            name: list(tx.exec_driver_sql(f'SELECT * FROM "{name}"').keys())
            for (name,) in tx.exec_driver_sql(statement).all()
        }


def test_both_have_the_same_tables_with_the_same_columns(sqlite: Database, postgres: Database) -> None:
    here, there = tables(sqlite), tables(postgres)
    shapes = [{table: columns(database, table) for table in sorted(here)} for database in (sqlite, postgres)]

    assert here == there
    assert here - {"migrations"} == set(metadata.tables) - {
        name for name in metadata.tables if OWN_TABLES.fullmatch(name)
    }
    assert shapes[0] == shapes[1]


def test_both_have_the_same_indexes(sqlite: Database, postgres: Database) -> None:
    assert indexes(sqlite) == indexes(postgres)


def test_both_have_the_same_views(sqlite: Database, postgres: Database) -> None:
    assert views(sqlite) == views(postgres)
    assert {"index_tasks", "v_active_index_tasks"} <= set(views(sqlite))


def test_both_are_brought_up_to_date_by_migrations_of_the_same_names(sqlite: Database, postgres: Database) -> None:
    names = [rows(database, "SELECT name FROM migrations ORDER BY name") for database in (sqlite, postgres)]

    assert [tuple(row) for row in names[0]] == [tuple(row) for row in names[1]]


def test_queries_that_users_keep_are_answered(database: Database) -> None:
    clock = TestClock()
    bench = Bench(SqlTaskStore(database, clock=clock, result_expires_seconds=60))
    waiting, running = bench.add(), bench.started()
    for seconds, outcome in ((2, Completed()), (4, Completed()), (7, Failed(error=ERROR))):
        task = bench.started()
        clock.pass_time(seconds)
        bench.end(task, outcome)
    for _ in range(20):
        clock.pass_time(1)
        last = bench.add(kind="batch_index")

    active = rows(database, ACTIVE)
    durations = {row.status: float(row.seconds) for row in rows(database, DURATIONS[database.dialect])}
    latest = rows(database, LATEST)

    assert {waiting.id, running.id} <= {row.task_id for row in active}
    assert {row.status for row in active} == {"pending", "processing"}
    assert durations == pytest.approx({"completed": 3.0, "failed": 7.0}, abs=0.001)
    assert len(latest) == 20
    assert (latest[0].task_id, latest[0].task_type, latest[0].progress) == (last.id, "batch", 0)
    assert [row.id for row in latest] == sorted((row.id for row in latest), reverse=True)
