"""What is asked at the end of every task is answered from an index that holds little."""

from pathlib import Path

from gristmill.db.database import Database
from gristmill.db.tasks import families


def test_whether_a_parent_has_open_children_is_not_looked_for_among_those_that_ended(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    database.migrate()
    with database.read() as transaction:
        statement = str(families._IS_READY.compile(transaction.engine))
        plan = transaction.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("a", "a")).all()
    database.close()

    assert any("tasks_open_children" in str(step) for step in plan), plan
