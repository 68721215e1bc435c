"""Which contents a space has vectors of is asked for each document, so the answer may not depend on its size."""

from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from gristmill.db.database import Database
from gristmill.db.index.staging import known_contents, known_hashes
from gristmill.errors import Unavailable


def test_known_contents_are_looked_up_instead_of_walking_through_the_space(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'index.db'}")
    database.migrate()
    try:
        with database.read() as connection:
            asked = known_contents("sqlite").compile(connection)
            assert isinstance(asked, SQLCompiler)
            values = asked.construct_params({"space": 1, "hashes": '["a", "b"]'})
            places = tuple(values[name] for name in asked.positiontup or ())
            plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", places)]
    finally:
        database.close()

    looks = [step for step in plan if "chunks" in step or "embeddings" in step]
    assert [("content_hash=?" in step, "chunk_no=?" in step) for step in looks] == [(True, False), (False, True)]


def test_known_contents_of_a_spoiled_database_are_refused_like_anything_else_that_is_asked_of_it(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'index.db'}")
    database.migrate()
    assert known_hashes(database, 1, ["a"]) == set()
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE embeddings RENAME TO gone")
    with pytest.raises(DBAPIError):
        known_hashes(database, 1, ["a"])
    in_use = database.checked_out()
    database.close()
    (tmp_path / "index.db").write_bytes(b"no database" * 1000)

    with pytest.raises(Unavailable) as refused:
        known_hashes(database, 1, ["a"])

    database.close()
    assert (in_use, refused.value.code) == (0, "database_unusable")
