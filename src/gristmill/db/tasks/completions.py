"""Ends many completed attempts at once: a few statements for all of them instead of a few for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeGuard

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection

from gristmill.db.schema import tasks
from gristmill.db.tasks.families import advance_parent
from gristmill.db.tasks.moves import may_make, record_each
from gristmill.db.tasks.rows import progress_values, task_from
from gristmill.tasks.lifecycle import TRANSITIONS
from gristmill.tasks.model import Completed, Effect, JointEffect, Json, Outcome, Progress, Task

__all__ = ["complete_all", "is_plain"]

_COMPLETED = TRANSITIONS["completed"]

_HELD = (
    select(tasks)
    .where(
        tasks.c.id.in_(bindparam("ids", expanding=True)),
        may_make(_COMPLETED),
        tasks.c.worker_id.is_not(None),
    )
    # In the order in which a cancel takes the rows of a family.
    .order_by(tasks.c.number.desc())
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
    """Whether ``outcome`` writes no other rows of the task store than its task's and its parent's."""
    return isinstance(outcome, Completed) and not (outcome.items or outcome.spawn)


def complete_all(tx: Connection, endings: Sequence[tuple[str, int, Completed]], now: int) -> list[Task | None]:
    """End attempts whose outcomes are plain, as ``TaskStore.finish_all`` does."""
    rows = {row.id: row for row in tx.execute(_HELD, {"ids": [task_id for task_id, _, _ in endings]})}
    # Whoever presents the same lease a second time finds the task ended.
    held = [_take(rows, task_id, lease) for task_id, lease, _ in endings]
    valid = [(row, outcome) for row, (_, _, outcome) in zip(held, endings, strict=True) if row is not None]
    answers = _carry_out(tx, [outcome.effect for _, outcome in valid])
    completed: list[Task] = []
    workers: list[Mapping[str, Any]] = []
    for (row, outcome), answer in zip(valid, answers, strict=True):
        was = task_from(row)
        workers.append({"worker": was.worker_id})
        completed.append(
            replace(
                was,
                state=_COMPLETED.target,
                worker_id=None,
                error=None,
                finished_at=now,
                updated_at=now,
                result={**outcome.result, **(answer or {})},
                progress=outcome.progress or was.progress,
            )
        )
    if completed:
        tx.execute(_COMPLETE, [_changes(task) for task in completed])
        record_each(tx, list(zip(completed, workers, strict=True)), _COMPLETED.name, now)
    children: dict[str, list[Progress]] = {}
    for task in completed:
        if task.parent_id is not None:
            children.setdefault(task.parent_id, []).append(task.progress)
    # Always in one order: two that end children of the same parents must not wait for each other.
    for parent_id, ended_children in sorted(children.items()):
        advance_parent(tx, parent_id, _COMPLETED.target, now, children=ended_children)
    ended = iter(completed)
    return [None if row is None else next(ended) for row in held]


def _take(rows: dict[str, Any], task_id: str, lease: int) -> Any | None:
    row = rows.get(task_id)
    return rows.pop(task_id) if row is not None and row.lease == lease else None


def _carry_out(tx: Connection, effects: Sequence[Effect | None]) -> Iterator[Json | None]:
    """Carry out ``effects`` in their order, neighbours of one sort together; the answer of each."""
    for write, group in groupby(effects, key=lambda effect: effect.write if isinstance(effect, JointEffect) else None):
        if write is None:
            yield from (None if effect is None else effect(tx) for effect in group)
        else:
            yield from write(tx, [effect.matter for effect in group if isinstance(effect, JointEffect)])


def _changes(task: Task) -> dict[str, Any]:
    values = {
        "finished_at": task.finished_at,
        "updated_at": task.updated_at,
        "result": task.result,
        **progress_values(task.progress),
    }
    return {"the_number": task.number, **{f"new_{column}": values[column] for column in _NEW}}
