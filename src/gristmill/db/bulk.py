"""Adds many rows to a table at once, for the statements that a busy worker spends its time on.

SQLAlchemy looks at every value of every row; here only those columns are converted whose type asks for it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Dialect, Table, text
from sqlalchemy.engine import Connection

__all__ = ["BulkInsert", "reserved"]

_Converter = Callable[[Any], Any]

_PLACEHOLDERS = {"sqlite": "?", "postgresql": "%s"}
_LAST = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
_NEXT = text("SELECT nextval(pg_get_serial_sequence(:table, :column)) FROM generate_series(1, :count)")


def reserved(connection: Connection, column: Column[int], count: int) -> Sequence[int]:
    """Numbers for ``count`` rows to be added, so that rows of other tables can name them at once.

    Inside a write transaction, which adds those rows before it asks again.
    """
    table = column.table.name
    if connection.dialect.name == "postgresql":
        values = {"table": table, "column": column.name, "count": count}
        return connection.execute(_NEXT, values).scalars().all()
    # The transaction is alone, and a row with a greater number moves the sequence along.
    last = connection.execute(_LAST, {"table": table}).scalar() or 0
    return range(last + 1, last + 1 + count)


class BulkInsert:
    """The statement that adds rows to ``table``; a row is a tuple of the values of ``columns``, in their order."""

    def __init__(self, table: Table, *columns: str) -> None:
        self._table = table
        self._columns = columns
        self._prepared = lru_cache(maxsize=4)(self._prepare)

    def __call__(self, connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add all of ``rows``."""
        statement, converters = self._prepared(connection.dialect)
        values = [
            tuple(value if convert is None else convert(value) for convert, value in zip(converters, row, strict=True))
            for row in rows
        ]
        if values:
            connection.exec_driver_sql(statement, values)

    def _prepare(self, dialect: Dialect) -> tuple[str, list[_Converter | None]]:
        quote = dialect.identifier_preparer.quote
        names = ", ".join(map(quote, self._columns))
        places = ", ".join([_PLACEHOLDERS[dialect.name]] * len(self._columns))
        types = [self._table.c[column].type.dialect_impl(dialect) for column in self._columns]
        return (
            f"INSERT INTO {quote(self._table.name)} ({names}) VALUES ({places})",  # noqa: S608 - names of the schema
            [type_.bind_processor(dialect) for type_ in types],
        )
