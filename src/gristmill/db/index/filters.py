"""A document filter as conditions of a statement.

Texts compare as a person expects: name and free text without regard to case, paths exactly.
"""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, bindparam, func, or_, select

from gristmill.db.schema import collections, documents
from gristmill.index.model import DocumentFilter

__all__ = ["conditions", "is_open"]

_ESCAPE = "\\"


def is_open(where: DocumentFilter | None) -> bool:
    """Whether ``where`` lets every document of its collection through."""
    return where is None or where == DocumentFilter(collection=where.collection)


def conditions(where: DocumentFilter) -> list[ColumnElement[Any]]:
    """What ``where`` asks of a row of ``documents``."""
    asked: list[ColumnElement[Any]] = []
    if where.collection is not None:
        # Asked apart: joined, SQLite would go through the documents of all collections.
        wanted = select(collections.c.id).where(collections.c.name == where.collection).scalar_subquery()
        asked.append(documents.c.collection_id == wanted)
    if where.ids:
        # Rendered into the statement: numbers are harmless there, and bound values are limited in number.
        ids: BindParameter[Any] = bindparam(
            "ids", [int(value) for value in where.ids], expanding=True, literal_execute=True
        )
        asked.append(documents.c.id.in_(ids))
    if where.states:
        asked.append(documents.c.state.in_([str(state) for state in where.states]))
    if where.materials:
        asked.append(documents.c.material.in_([str(material) for material in where.materials]))
    if where.media_types:
        asked.append(documents.c.media_type.in_(list(where.media_types)))
    if where.name:
        asked.append(documents.c.name.ilike(_pattern(where.name), escape=_ESCAPE))
    if where.source_prefix:
        asked.append(func.substr(documents.c.source, 1, len(where.source_prefix)) == where.source_prefix)
    if where.text:
        asked.append(
            or_(
                documents.c.name.icontains(where.text, autoescape=True),
                documents.c.source.icontains(where.text, autoescape=True),
            )
        )
    return asked


def _pattern(glob: str) -> str:
    escaped = "".join(_ESCAPE + char if char in "%_\\" else char for char in glob)
    return escaped.replace("*", "%").replace("?", "_")
