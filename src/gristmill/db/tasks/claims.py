"""The claim: the one hot statement, written by hand for each database and prepared once per shape.

Each queue of each engine is one ordered look into the index of ready tasks, and the looks are merged: a single query
over all of them would have to sort every ready row.
"""

from functools import cache

from sqlalchemy import TextClause, text
from sqlalchemy.sql.selectable import TextualSelect

from gristmill.db.schema import tasks
from gristmill.db.tasks.rows import ELEMENTS

__all__ = ["claim_statement", "ready_statement"]

_LOOK = """
SELECT * FROM (
    SELECT number, priority, ready_at FROM tasks
    WHERE engine = :engine_{engine} AND queue = :queue_{queue} AND state = 'pending' AND due
      AND kind IN ({kinds}) {only}
    ORDER BY {order} LIMIT :limit {lock}
) AS look_{engine}_{queue}"""

_CLAIM = """
UPDATE tasks SET
    state = 'processing', worker_id = :worker_id, slot = :slot, lease = lease + 1, attempt = attempt + 1,
    started_at = :now, updated_at = :now,
    stage = CASE WHEN checkpoint IS NULL THEN '' ELSE stage END,
    unit = CASE WHEN checkpoint IS NULL THEN '' ELSE unit END,
    done = CASE WHEN checkpoint IS NULL THEN 0 ELSE done END,
    failed = CASE WHEN checkpoint IS NULL THEN 0 ELSE failed END,
    skipped = CASE WHEN checkpoint IS NULL THEN 0 ELSE skipped END,
    total = CASE WHEN checkpoint IS NULL THEN NULL ELSE total END
WHERE number IN ({chosen}) AND state = 'pending' AND EXISTS (SELECT 1 FROM workers WHERE id = :worker_id)
RETURNING *"""


def _chosen(dialect: str, engines: int, queues: int, *, by_age: bool, by_id: bool, lock: bool) -> str:
    elements = ELEMENTS[dialect].format
    order = "ready_at, number" if by_age else "priority DESC, number"
    only = f"AND id IN ({elements(name='ids')})" if by_id else ""
    if by_age:
        only += " AND ready_at < :ready_before"
    # SQLite has one writer at a time; elsewhere, what another claims at this moment is passed over.
    values = {
        "kinds": elements(name="kinds"),
        "only": only,
        "order": order,
        "lock": "FOR UPDATE SKIP LOCKED" if lock and dialect == "postgres" else "",
    }
    looks = " UNION ALL ".join(
        _LOOK.format(engine=engine, queue=queue, **values) for engine in range(engines) for queue in range(queues)
    )
    return f"SELECT number FROM ({looks}) AS looks ORDER BY {order} LIMIT :limit"  # noqa: S608 - made of constants above


@cache
def ready_statement(dialect: str, engines: int, queues: int, *, by_age: bool, by_id: bool) -> TextClause:
    """Finds the numbers that :func:`claim_statement` would take; no rows, no need for the write lock."""
    return text(_chosen(dialect, engines, queues, by_age=by_age, by_id=by_id, lock=False))


@cache
def claim_statement(dialect: str, engines: int, queues: int, *, by_age: bool, by_id: bool) -> TextualSelect:
    """Takes ready tasks of ``engine_0`` ... and ``queue_0`` ... for ``worker_id``; parameters ``kinds`` and ``ids`` are JSON arrays."""
    chosen = _chosen(dialect, engines, queues, by_age=by_age, by_id=by_id, lock=True)
    return text(_CLAIM.format(chosen=chosen)).columns(**{column.name: column.type for column in tasks.c})
