"""Full-text search of chunks with SQLite's FTS5; the only file of the index store that another database replaces.

Terms come ready-made from :mod:`gristmill.db.tokens`, so FTS5 only has to split on spaces. The table keeps no text:
what a reader may see is decided by joining with the current versions.
"""

from collections.abc import Sequence

from sqlalchemy import bindparam, column, select, table, text
from sqlalchemy.engine import Connection

from gristmill.db.index.filters import conditions
from gristmill.db.index.rows import batches
from gristmill.db.schema import collections, documents, version_chunks
from gristmill.db.tokens import index_tokens, query_tokens, select_terms
from gristmill.index.model import DocumentFilter, Scored

__all__ = ["MOST_TERMS", "add", "remove", "search", "words_of"]

MOST_TERMS = 12
"""Terms of a query that are looked for, the rarest ones: each common word costs milliseconds and decides little."""

_WORDS = table("chunk_words", column("rowid"), column("rank"))
_VOCABULARY = table("chunk_vocabulary", column("term"), column("doc"))


def words_of(headings: Sequence[str], body: str) -> str:
    """What :func:`add` keeps of a chunk; takes a while, so it is called before a write transaction begins."""
    return index_tokens("\n".join((*headings, body)))


def add(connection: Connection, collection_id: int, words: Sequence[tuple[int, str]]) -> None:
    """Make chunks findable: pairs of chunk number and :func:`words_of`."""
    if words:
        connection.exec_driver_sql(
            "INSERT INTO chunk_words (rowid, scope, words) VALUES (?, ?, ?)",
            [(chunk_no, _scope(collection_id), terms) for chunk_no, terms in words],
        )


def remove(connection: Connection, chunk_nos: Sequence[int]) -> None:
    """Undo :func:`add`."""
    if chunk_nos:
        connection.exec_driver_sql("DELETE FROM chunk_words WHERE rowid = ?", [(no,) for no in chunk_nos])


def search(
    connection: Connection, collection_id: int, query: str, *, limit: int, where: DocumentFilter | None
) -> list[Scored]:
    """Visible chunks by BM25, best first."""
    terms = _chosen(connection, query)
    if not terms or limit < 1:
        return []
    visible = (
        select(version_chunks.c.chunk_no)
        .join(documents, documents.c.current_version_id == version_chunks.c.version_id)
        .where(version_chunks.c.chunk_no == _WORDS.c.rowid)
    )
    if where is not None:
        visible = visible.join(collections, collections.c.id == documents.c.collection_id).where(*conditions(where))
    # FTS5 hands rows over best first, so visibility is only looked up until enough are found. The first weight is
    # that of the scope, which every row of the collection shares.
    statement = (
        select(_WORDS.c.rowid, _WORDS.c.rank)
        .where(
            text("chunk_words MATCH :expression"),
            text("rank MATCH 'bm25(0.0, 1.0)'"),
            visible.correlate(_WORDS).exists(),
        )
        .order_by(_WORDS.c.rank)
        .limit(limit)
    )
    anyone = " OR ".join(_quoted(term) for term in terms)
    expression = f"scope : {_quoted(_scope(collection_id))} AND words : ({anyone})"
    found = [
        Scored(chunk_no=row.rowid, score=-row.rank) for row in connection.execute(statement, {"expression": expression})
    ]
    return sorted(found, key=lambda scored: (-scored.score, scored.chunk_no))


def _chosen(connection: Connection, query: str) -> list[str]:
    terms = query_tokens(query)
    statement = select(_VOCABULARY.c.term, _VOCABULARY.c.doc).where(
        _VOCABULARY.c.term.in_(bindparam("terms", expanding=True))
    )
    frequency: dict[str, int] = {}
    for batch in batches(terms):
        frequency |= {row.term: row.doc for row in connection.execute(statement, {"terms": batch})}
    return select_terms(terms, frequency, MOST_TERMS)


def _scope(collection_id: int) -> str:
    return f"c{collection_id}"


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'
