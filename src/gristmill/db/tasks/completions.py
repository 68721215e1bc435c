"""Ends many attempts at once where nothing but the rows themselves changes: three statements instead of three for each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection

from gristmill.db.schema import tasks
from gristmill.db.tasks.moves import may_make, record
from gristmill.db.tasks.rows import progress_values, task_from
from gristmill.tasks.lifecycle import TRANSITIONS
from gristmill.tasks.model import Completed, Outcome, Progress, Task

__all__ = ["complete_all", "is_plain"]

_COMPLETED = TRANSITIONS["completed"]

_HELD = (
    select(tasks)
    .where(
        tasks.c.id.in_(bindparam("ids", expanding=True)),
        may_make(_COMPLETED),
        tasks.c.worker_id.is_not(None),
    )
    .with_for_update()
)

_NEW = ("finished_at", "updated_at", "result", *progress_values(Progress()))
_COMPLETE = (
    update(tasks)
    .where(tasks.c.number == bindparam("the_number"), may_make(_COMPLETED))
    .values(
        state=_COMPLETED.target,
        worker_id=None,
        error=None,
        **{column: bindparam(f"new_{column}", type_=tasks.c[column].type) for column in _NEW},
    )
)


def is_plain(outcome: Outcome) -> TypeGuard[Completed]:
    """Whether ``outcome`` changes no row but its own task's, unless that has a parent."""
    return isinstance(outcome, Completed) and not (outcome.items or outcome.effect or outcome.spawn)


def complete_all(tx: Connection, endings: Sequence[tuple[str, int, Completed]], now: int) -> list[Task | None] | None:
    """End attempts whose outcomes are plain, as ``TaskStore.finish_all`` does.

    None, with no effect, where that takes more: a parent to tell, or attempts of several workers.
    """
    held = {row.id: row for row in tx.execute(_HELD, {"ids": [task_id for task_id, _, _ in endings]})}
    holders = {row.worker_id for row in held.values()}
    if len(holders) > 1 or any(row.parent_id is not None for row in held.values()):
        return None
    ended: list[Task | None] = []
    changes: list[Mapping[str, Any]] = []
    for task_id, lease, outcome in endings:
        row = held.get(task_id)
        if row is None or row.lease != lease:
            ended.append(None)
            continue
        # Whoever presents the same lease a second time finds the task ended.
        del held[task_id]
        was = task_from(row)
        progress = outcome.progress or was.progress
        result = dict(outcome.result)
        changes.append(
            {
                "the_number": row.number,
                "new_finished_at": now,
                "new_updated_at": now,
                "new_result": result,
                **{f"new_{column}": value for column, value in progress_values(progress).items()},
            }
        )
        ended.append(
            replace(
                was,
                state=_COMPLETED.target,
                worker_id=None,
                error=None,
                finished_at=now,
                updated_at=now,
                result=result,
                progress=progress,
            )
        )
    if changes:
        tx.execute(_COMPLETE, changes)
        record(tx, [task for task in ended if task], _COMPLETED.name, now, {"worker": holders.pop()})
    return ended
