"""Rows that make no sense: set aside with the reason, never dropped, never in the way of others."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError

from gristmill.tasks.model import TaskFilter, TaskState
from tests.integration.worker.conftest import Mill


def spoil(mill: Mill, column: str, value: Any, *, kind: str = "ping") -> str:
    """A pending task with one column that no code of ours would write."""
    task = mill.app.tasks.submit("ping", {"note": "spoiled"}, priority=9)
    with mill.app.database.write() as transaction:
        statement = text(f"UPDATE tasks SET {column} = :value, kind = :kind WHERE id = :id")
        transaction.execute(statement, {"value": value, "kind": kind, "id": task.id})
    return task.id


def test_garbage_is_set_aside_with_the_reason_and_the_others_run(mill: Mill) -> None:
    spoiled = [
        spoil(mill, "payload", garbage)
        for garbage in (
            "{",
            "",
            "\x00\xff",
            "null",
            "[]",
            "7",
            '"text"',
            '{"note": 7}',
            '{"unknown": 1}',
            '{"note": "x"',
        )
        # Postgres keeps no text with a zero in it.
        if "\0" not in garbage or mill.app.database.dialect == "sqlite"
    ]
    others = [mill.app.tasks.submit("ping", {"note": str(number)}) for number in range(5)]

    worker = mill.start(concurrency=2)

    ended = [mill.ended(task) for task in others]
    assert {task.state for task in ended} == {TaskState.COMPLETED}
    for task_id in spoiled:
        task = mill.ended(mill.app.store.get(task_id))
        assert (task.state, task.crash_count) == (TaskState.FAILED, 0)
        assert task.error is not None
        assert task.error.code.startswith("payload_")
        assert task.error.message("en")
        assert task.error.message("zh")
    assert worker.poll() is None
    assert "slot.ended" not in mill.logs()


def test_task_of_an_unknown_kind_waits_for_a_worker_that_knows_it(mill: Mill) -> None:
    unknown = spoil(mill, "stage", "", kind="from_the_future")
    mill.start()

    mill.ended(mill.app.tasks.submit("ping", {}))

    waiting = mill.app.store.get(unknown)
    assert (waiting.state, waiting.attempt) == (TaskState.PENDING, 0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("state", "sleeping"),
        ("priority", 10),
        ("priority", "urgent"),
        ("payload", None),
        ("lease", None),
        ("hard_limit_seconds", None),
        ("hard_limit_seconds", "for ever"),
        ("attempt", "first"),
        ("lease", "x"),
    ],
)
def test_database_refuses_what_no_task_can_be(mill: Mill, column: str, value: Any) -> None:
    with pytest.raises((IntegrityError, DataError)):
        spoil(mill, column, value)


def test_spoiled_task_can_be_listed_and_cancelled(mill: Mill) -> None:
    spoiled = spoil(mill, "payload", "{")

    listed = mill.app.tasks.find(TaskFilter())
    mill.app.tasks.cancel_one(spoiled)

    assert [task.id for task in listed] == [spoiled]
    assert mill.app.store.get(spoiled).state is TaskState.CANCELLED
