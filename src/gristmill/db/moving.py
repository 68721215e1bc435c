"""Copies everything from one database into an empty one, of the same or another make."""

from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import Connection, MetaData, Table, Text, func, insert, select, text

from gristmill.db import schema
from gristmill.db.database import Database
from gristmill.db.index import words
from gristmill.errors import Conflict

__all__ = ["copy_rows"]

_ROWS_AT_ONCE = 1000
_TABLES = (
    schema.collections,
    schema.spaces,
    schema.documents,
    schema.versions,
    schema.chunks,
    schema.version_chunks,
    schema.embeddings,
    schema.snapshots,
    schema.snapshot_documents,
    schema.tasks,
    schema.task_events,
    schema.task_items,
    schema.workers,
    schema.api_keys,
    schema.task_totals,
    schema.duty_totals,
    schema.event_cursors,
    schema.alerts,
    schema.alert_notices,
    schema.webhooks,
    schema.webhook_deliveries,
    schema.schedules,
)
"""In an order in which no row refers to one that is not there yet. Who leads is settled anew."""
_OCCUPIED = (schema.collections, schema.tasks, schema.api_keys)


def copy_rows(source: Database, target: Database) -> int:
    """Copy all rows as of one moment, all or none; how many.

    ``target`` is brought up to date first; :class:`Conflict` (``database_not_empty``) if it holds anything.
    """
    target.migrate()
    count = 0
    with target.write(durable=True) as new:
        for table in _OCCUPIED:
            if new.execute(select(table).limit(1)).first() is not None:
                raise Conflict("database_not_empty", table=table.name)
        with source.read() as old:
            for table in _TABLES:
                count += _copy(old, new, _as_text(table))
        # Words take long, and a server ends a connection that stands still for so long in a transaction.
        _index_words(new)
    return count


def _as_text(table: Table) -> Table:
    """``table`` with JSON as the text it is stored as: what is no JSON any more must come across as well."""
    copied = table.to_metadata(MetaData())
    for column in copied.columns:
        if isinstance(column.type, schema.JsonText):
            column.type = Text()
    return copied


def _copy(old: Connection, new: Connection, table: Table) -> int:
    count = 0
    rows = old.execution_options(yield_per=_ROWS_AT_ONCE).execute(select(table).order_by(*table.primary_key.columns))
    for part in rows.mappings().partitions(_ROWS_AT_ONCE):
        new.execute(insert(table), [dict(row) for row in part])
        count += len(part)
    _count_on(new, table)
    return count


def _count_on(new: Connection, table: Table) -> None:
    """Let numbers that the database gives go on where the copied ones end."""
    (key, *others) = table.primary_key.columns
    if new.dialect.name != "postgresql" or others or isinstance(key.type, Text):
        return
    last = new.execute(select(func.max(key))).scalar()
    if last is not None:
        new.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :key), :last)"),
            {"table": table.name, "key": key.name, "last": last},
        )


def _index_words(new: Connection) -> None:
    """Words are kept in another form by each make, so they are made again."""
    for part in _chunks(new):
        for collection_id, rows in groupby(part, key=lambda row: row[0]):
            terms = [(no, words.words_of(name, headings, body)) for _, no, name, headings, body in rows]
            words.add(new, collection_id, terms)


def _chunks(new: Connection) -> Iterator[list[tuple[int, int, str, list[str], str]]]:
    chunks, documents = schema.chunks, schema.documents
    statement = (
        select(documents.c.collection_id, chunks.c.no, documents.c.name, chunks.c.headings, chunks.c.text)
        .join(documents, documents.c.id == chunks.c.document_id)
        .order_by(chunks.c.no)
        .limit(_ROWS_AT_ONCE)
    )
    last = 0
    while rows := new.execute(statement.where(chunks.c.no > last)).all():
        last = rows[-1].no
        yield sorted((row.collection_id, row.no, row.name, row.headings, row.text) for row in rows)
