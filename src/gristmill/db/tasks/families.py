"""Parents and children inside an open transaction: children are added, counted and waited for; a word to one reaches all.

Whoever ends a child takes the child's row before its parent's, and so does whoever cancels a family.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Exists, Text, bindparam, case, exists, literal_column, select, text, update
from sqlalchemy.engine import Connection

from gristmill.db.schema import task_items, tasks
from gristmill.db.tasks.moves import FRESH_TRY, add_rows, has_state, move, record
from gristmill.db.tasks.rows import ELEMENTS, matches, progress_values
from gristmill.tasks.model import NewTask, Progress, TaskFilter, TaskState

__all__ = [
    "advance_parent",
    "cancel_tasks",
    "count_ended",
    "generations",
    "halt_after_failure",
    "resume_if_ready",
    "retry_tasks",
    "spawn",
]

_GENERATION = 256
_TOGETHER = 500
"""Tasks that one statement names."""

# One parameter for all of them: to name thousands one by one takes longer than to look them up.
_ENDED = {
    name: text(f"""
        SELECT state, unit, count(*) AS children, sum(done) AS done, sum(failed) AS failed, sum(skipped) AS skipped
        FROM tasks
        WHERE id IN ({ELEMENTS[dialect].format(name="ids")}) AND state || '' IN ('completed', 'failed', 'cancelled')
        GROUP BY state, unit""")  # noqa: S608 - made of constants
    for name, dialect in (("sqlite", "sqlite"), ("postgresql", "postgres"))
}


def generations(children: Sequence[NewTask]) -> list[Sequence[NewTask]]:
    """``children`` in the portions in which they are added, each in a transaction that keeps no other writer waiting long.

    All but the last are there, and may have ended, before their parent waits.
    """
    return [children[start : start + _GENERATION] for start in range(0, len(children), _GENERATION)]


def spawn(tx: Connection, children: Sequence[NewTask], now: int) -> None:
    """Add ``children``; those that are there from an earlier attempt, and failed or were cancelled, run again."""
    ended = [row.id for row in add_rows(tx, children, now) if row.state in (TaskState.FAILED, TaskState.CANCELLED)]
    if ended:
        retry_tasks(tx, TaskFilter(ids=ended), now)


def _sum(progress: Progress, more: Progress) -> Progress:
    return replace(
        progress,
        done=progress.done + more.done,
        failed=progress.failed + more.failed,
        skipped=progress.skipped + more.skipped,
    )


def count_ended(tx: Connection, ids: Sequence[str], progress: Progress) -> Progress:
    """``progress`` of a task and of those of its children, ``ids``, that have ended."""
    for row in tx.execute(_ENDED[tx.dialect.name], {"ids": json.dumps(ids)}):
        if row.state != TaskState.COMPLETED:
            more = Progress(failed=row.children)
        elif _measure(row.unit) == progress.unit:
            more = Progress(done=int(row.done), failed=int(row.failed), skipped=int(row.skipped))
        else:
            more = Progress(done=row.children)
        progress = _sum(progress, more)
    return progress


def _unit_of(progress: Progress) -> str:
    return progress.unit


def _measure(unit: str) -> str | None:
    """The unit in which a child may count for its parent; to whoever counts in tasks, it is one."""
    return None if unit in ("", "tasks") else unit


# Both take the row even of a parent that does not wait yet: else both could miss the other, where there are several
# writers, and the parent would wait for a child that has ended.
_ADVANCED = (
    update(tasks)
    .where(tasks.c.id == bindparam("the_id"))
    .values(updated_at=case((tasks.c.waiting, bindparam("now")), else_=tasks.c.updated_at))
)


def _counting(column: str, units: str, children: str | None) -> ColumnElement[Any]:
    """``column`` of a waiting parent with what was counted in its unit, or with the number of children."""
    otherwise = tasks.c[column] if children is None else tasks.c[column] + bindparam(children)
    return case(
        (tasks.c.waiting & (tasks.c.unit == bindparam("the_unit", type_=Text)), tasks.c[column] + bindparam(units)),
        (tasks.c.waiting, otherwise),
        else_=tasks.c[column],
    )


_COMPLETED = _ADVANCED.values(
    done=_counting("done", "more_done", "children"),
    failed=_counting("failed", "more_failed", None),
    skipped=_counting("skipped", "more_skipped", None),
)
_NOT_COMPLETED = _ADVANCED.values(
    failed=case((tasks.c.waiting, tasks.c.failed + bindparam("children")), else_=tasks.c.failed)
)


def _child(condition: str) -> Exists:
    child = tasks.alias("child")
    # Without a type: as a boolean, SQLite would be given "(...) = 1", in which it does not see the index of open children.
    meant: ColumnElement[bool] = literal_column(condition)
    return exists().select_from(child).where(child.c.parent_id == bindparam("the_id"), meant)


_NOT_BEGUN = (
    select(tasks.c.id)
    .where(
        tasks.c.parent_id == bindparam("the_id"),
        literal_column("tasks.state IN ('pending', 'processing')"),
        has_state(TaskState.PENDING),
    )
    .with_for_update(skip_locked=True)
)
# Held as it is looked at: a child that goes back to wait and one that fails at that moment shall see each other.
_HALTS = select(tasks.c.id).where(tasks.c.id == bindparam("the_id"), tasks.c.waiting, tasks.c.halts).with_for_update()
_HAS_FAILED = select(tasks.c.id).where(
    tasks.c.id == bindparam("the_id"), tasks.c.failed > 0, _child("child.state || '' = 'failed'")
)
_IS_READY = select(tasks.c.id).where(
    tasks.c.id == bindparam("the_id"), tasks.c.waiting, ~_child("child.state IN ('pending', 'processing')")
)


def advance_parent(tx: Connection, parent_id: str, state: TaskState, now: int, *, children: Sequence[Progress]) -> None:
    """Count children that ended in ``state`` for their parent, and let it run again if they were the last.

    A completed child that counts in the unit of its parent adds what it has counted, any other child one.
    """
    common = {"the_id": parent_id, "now": now}
    if state is TaskState.COMPLETED:
        for unit, alike in groupby(sorted(children, key=_unit_of), key=_unit_of):
            ended = list(alike)
            counted = reduce(_sum, ended)
            values = {f"more_{name}": getattr(counted, name) for name in ("done", "failed", "skipped")}
            tx.execute(_COMPLETED, {**common, **values, "children": len(ended), "the_unit": _measure(unit)})
    else:
        tx.execute(_NOT_COMPLETED, {**common, "children": len(children)})
    if state is TaskState.FAILED and tx.execute(_HALTS, {"the_id": parent_id}).first() is not None:
        _halt(tx, parent_id, now)
    resume_if_ready(tx, parent_id, now)


def halt_after_failure(tx: Connection, parent_id: str, now: int) -> bool:
    """Cancel the children that have not begun, if one has failed and the parent waits for no more; whether it is so."""
    for condition in (_HALTS, _HAS_FAILED):
        if tx.execute(condition, {"the_id": parent_id}).first() is None:
            return False
    _halt(tx, parent_id, now)
    return True


def _halt(tx: Connection, parent_id: str, now: int) -> None:
    # The parent's row is held by now, and whoever ends a child comes to it with the child's in hand: to wait for that
    # child would be to wait for ever. One that another holds is being claimed, or cancelled, or has ended.
    ids = list(tx.execute(_NOT_BEGUN, {"the_id": parent_id}).scalars())
    for start in range(0, len(ids), _TOGETHER):
        cancel_tasks(tx, TaskFilter(ids=ids[start : start + _TOGETHER]), now)


def resume_if_ready(tx: Connection, parent_id: str, now: int) -> list[Any]:
    """Let a task that waits run again if none of its children is open; its row then."""
    if tx.execute(_IS_READY, {"the_id": parent_id}).first() is None:
        return []
    values = {**FRESH_TRY, "ready_at": now, "scheduled_at": None, "attempt": tasks.c.attempt - 1}
    return move(tx, "resumed", (tasks.c.id == parent_id) & tasks.c.waiting, values, now)


def cancel_tasks(tx: Connection, where: TaskFilter, now: int) -> int:
    """Cancel what waits, ask what runs, through all descendants; see :meth:`TaskStore.request_cancel`."""
    family = select(tasks.c.id).where(matches(where)).cte("family", recursive=True)
    child = tasks.alias("child")
    family = family.union(select(child.c.id).join(family, child.c.parent_id == family.c.id))
    # Resolved before anything changes: the filter may be about the very states that the moves below change.
    ids = [row.id for row in tx.execute(select(family.c.id))]
    changed = 0
    for start in range(0, len(ids), _TOGETHER):
        batch = tasks.c.id.in_(ids[start : start + _TOGETHER])
        # Held before the first look: between the two changes below no other may take a task past both. Children first,
        # as an ending child comes to its parent.
        tx.execute(select(tasks.c.id).where(batch).order_by(tasks.c.number.desc()).with_for_update())
        idle = (tasks.c.state == TaskState.PENDING) | tasks.c.waiting
        values = {"finished_at": now, "waiting": False, "cancel_requested": True, "due": True}
        cancelled = move(tx, "cancelled", batch & idle, values, now)
        asked = list(
            tx.execute(
                update(tasks)
                .where(batch, has_state(TaskState.PROCESSING), ~tasks.c.cancel_requested)
                .values(cancel_requested=True, updated_at=now)
                .returning(*tasks.c)
            )
        )
        record(tx, asked, "cancel_requested", now)
        for parent_id, count in sorted(
            Counter(row.parent_id for row in cancelled if row.parent_id is not None).items()
        ):
            advance_parent(tx, parent_id, TaskState.CANCELLED, now, children=[Progress()] * count)
        changed += len(cancelled) + len(asked)
    return changed


def retry_tasks(tx: Connection, where: TaskFilter, now: int) -> list[str]:
    """Make ended tasks pending again; see :meth:`TaskStore.retry`."""
    values = {
        **FRESH_TRY,
        "attempt": 0,
        "crash_count": 0,
        "cancel_requested": False,
        "scheduled_at": None,
        "ready_at": now,
        "finished_at": None,
        "checkpoint": None,
        "error": None,
        "result": None,
        "item_count": 0,
        "items_expire_at": None,
        **progress_values(Progress()),
    }
    rows = move(tx, "retried", matches(where), values, now)
    for start in range(0, len(rows), _TOGETHER):
        batch = [row.id for row in rows[start : start + _TOGETHER]]
        tx.execute(task_items.delete().where(task_items.c.task_id.in_(batch)))
    for row in rows:
        if row.parent_id is not None:
            counted = case((tasks.c.failed > 0, tasks.c.failed - 1), else_=0)
            tx.execute(update(tasks).where(tasks.c.id == row.parent_id, tasks.c.waiting).values(failed=counted))
    return [row.id for row in rows]
