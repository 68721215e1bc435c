"""Which contents a space has vectors of is asked for each document, so the answer may not depend on its size."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from gristmill.db.database import Database
from gristmill.db.index.staging import known_hashes


def test_known_hashes_looks_each_content_up_instead_of_walking_through_the_space(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'index.db'}")
    database.migrate()
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with database.read() as connection:
            known_hashes(connection, 1, ["a", "b"])
            statement, parameters = asked[-1]
            plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        database.close()

    looks = [step for step in plan if "chunks" in step or "embeddings" in step]
    assert [("content_hash=?" in step, "chunk_no=?" in step) for step in looks] == [(True, False), (False, True)]
