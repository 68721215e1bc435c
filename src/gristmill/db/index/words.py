"""Full-text search of chunks, by whatever means the database has.

Terms come ready-made from :mod:`gristmill.db.tokens`, so both means find the same things.
"""

from collections.abc import Sequence
from types import ModuleType

from sqlalchemy.engine import Connection

from gristmill.db.index import fts5, tsvector
from gristmill.db.tokens import index_tokens
from gristmill.index.model import Collection, DocumentFilter, Scored

__all__ = ["add", "remove", "search", "words_of"]

_MEANS = {"sqlite": fts5, "postgresql": tsvector}


def words_of(document_name: str, headings: Sequence[str], body: str) -> str:
    """What :func:`add` keeps of a chunk; takes a while, so it is called before a write transaction begins."""
    return index_tokens("\n".join((document_name, *headings, body)))


def add(connection: Connection, collection_id: int, words: Sequence[tuple[int, str]]) -> None:
    """Make chunks findable: pairs of chunk number and :func:`words_of`."""
    _means(connection).add(connection, collection_id, words)


def remove(connection: Connection, chunk_nos: Sequence[int]) -> None:
    """Undo :func:`add`."""
    _means(connection).remove(connection, chunk_nos)


def search(
    connection: Connection, collection: Collection, query: str, *, limit: int, where: DocumentFilter | None
) -> list[Scored]:
    """Visible chunks by BM25, best first; of those with nothing but common words only the newest are ranked."""
    found: list[Scored] = _means(connection).search(connection, collection, query, limit=limit, where=where)
    return found


def _means(connection: Connection) -> ModuleType:
    return _MEANS[connection.dialect.name]
