"""Full-text search of chunks with SQLite's FTS5.

Terms come ready-made from :mod:`gristmill.db.tokens`, so FTS5 only has to split on spaces. The table keeps no text:
what a reader may see is decided by joining with the current versions.
"""

import math
import re
from bisect import bisect, bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

from sqlalchemy import Select, bindparam, column, func, select, table, text
from sqlalchemy.engine import Connection

from gristmill.db.index.filters import conditions
from gristmill.db.index.rows import batches
from gristmill.db.schema import chunks, documents, embeddings, version_chunks
from gristmill.db.tokens import query_tokens, select_terms
from gristmill.index.model import Collection, DocumentFilter, Scored

__all__ = ["add", "remove", "search"]

_RANKED = 3000
"""Chunks that a look ranks, about; each takes 0.7 microseconds."""
_COUNTED = 100_000
"""Chunks with its words that a look counts at most; BM25 does, wherever they stand, and each takes 35 nanoseconds."""
_NEARLY_ALL = 0.75
"""Of all chunks: what belongs to others is then found and left out more quickly than it is told apart by its scope."""
_NEGLIGIBLE = 0.1
"""Of what all words of a query weigh; where they are too many to count, the most common ones that weigh no more
together are left out."""
_REMEMBERED = 50_000
"""Words whose frequency a connection remembers."""

_SCOPE = re.compile(r"c\d+")

_WORDS = table("chunk_words", column("rowid"), column("rank"))
_VOCABULARY = table("chunk_vocabulary", column("term"), column("doc"))
_RANGE = select(
    select(func.min(embeddings.c.chunk_no)).where(embeddings.c.space_id == bindparam("space_id")).scalar_subquery(),
    select(func.max(embeddings.c.chunk_no)).where(embeddings.c.space_id == bindparam("space_id")).scalar_subquery(),
    select(func.coalesce(func.max(chunks.c.no), 0)).scalar_subquery(),
)
"""The first and the last chunk of a collection, by its embeddings, and of all. Two questions: both at once would be a walk."""
_FREQUENCY = select(_VOCABULARY.c.term, _VOCABULARY.c.doc).where(
    _VOCABULARY.c.term.in_(bindparam("terms", expanding=True))
)


def add(connection: Connection, collection_id: int, words: Sequence[tuple[int, str]]) -> None:
    """Make chunks findable: pairs of chunk number and terms joined by spaces."""
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
    connection: Connection, collection: Collection, query: str, *, limit: int, where: DocumentFilter | None
) -> list[Scored]:
    """Visible chunks by BM25, best first; of those with nothing but common words only the newest are ranked.

    The most common words are so many that not even this is: their newest chunks get what an average one would.
    """
    first, last, total = connection.execute(_RANGE, {"space_id": collection.space.id}).one()
    frequency = _frequencies(connection, query_tokens(query), total)
    terms = sorted(select_terms(list(frequency), frequency), key=frequency.__getitem__)
    if not terms or limit < 1 or first is None:
        return []
    # Every chunk of the collection has the scope, and is counted for BM25: worth it unless nearly all are the collection's.
    share = min(1.0, collection.chunk_count / total)
    scope = f"scope : {_quoted(_scope(collection.id))} AND " if share < _NEARLY_ALL else ""
    # Naming the column doubles the time that counting takes, and only a word like a scope stands in the other one.
    if any(map(_SCOPE.fullmatch, terms)):
        scope += "words : "
    statement, newest = _statements(None) if where is None else _statements.__wrapped__(where)
    values: dict[str, Any] = {"collection_id": collection.id, "limit": limit}
    found: dict[int, float] = {}
    for look in _looks(terms, frequency, total, share if scope else 1.0):
        is_cut = look.weight is None and look.rows > 2 * _RANKED
        values["after"] = last - (last - first + 1) * _RANKED // look.rows if is_cut else 0
        for expression in look.expressions:
            values["expression"] = f"{scope}({expression})"
            if look.weight is None:
                ranked = [(row.rowid, -row.rank) for row in connection.execute(statement, values)]
            else:
                ranked = [(row.rowid, look.weight) for row in connection.execute(newest, values)]
            for chunk_no, score in ranked:
                # What an earlier, fuller look said of a chunk stands.
                found.setdefault(chunk_no, score)
        if len(found) >= limit:
            break
    best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return [Scored(chunk_no=chunk_no, score=score) for chunk_no, score in best]


@cache
def _statements(where: DocumentFilter | None) -> tuple[Select[Any], Select[Any]]:
    """The best chunks with their ranks, and the newest."""
    visible = (
        select(version_chunks.c.chunk_no)
        .join(documents, documents.c.current_version_id == version_chunks.c.version_id)
        .where(
            version_chunks.c.chunk_no == _WORDS.c.rowid,
            # A sum has no index: SQLite would walk through the collection for each chunk.
            documents.c.collection_id + 0 == bindparam("collection_id"),
        )
    )
    if where is not None:
        visible = visible.where(*conditions(where))
    # FTS5 hands rows over in order, so visibility is only looked up until enough are found.
    matching = (
        select(_WORDS.c.rowid)
        .where(
            text("chunk_words MATCH :expression"),
            _WORDS.c.rowid > bindparam("after"),
            visible.correlate(_WORDS).exists(),
        )
        .limit(bindparam("limit"))
    )
    # The first weight is that of the scope, which every row of the collection shares.
    ranked = matching.add_columns(_WORDS.c.rank).where(text("rank MATCH 'bm25(0.0, 1.0)'")).order_by(_WORDS.c.rank)
    return ranked, matching.order_by(_WORDS.c.rowid.desc())


@dataclass(frozen=True, slots=True)
class _Look:
    expressions: tuple[str, ...]
    rows: int
    """Chunks in scope that they match, about."""
    weight: float | None = None
    """What each of the chunks scores; None if they are worth ranking."""


def _looks(terms: Sequence[str], frequency: Mapping[str, int], total: int, share: float) -> Iterator[_Look]:
    """What to ask FTS5 for, one after the other until enough is found; ``terms`` are rarest first.

    Of all chunks, ``share`` are in scope; words are taken to be as frequent there as elsewhere.

    Ranking a chunk costs a microsecond, so many are only ranked if nothing else helps. Chunks with a rare word always
    are, and the common words count in them; then come those with all of the common words, then the newest with any.
    """
    if sum(map(frequency.__getitem__, terms)) * share > 2 * _RANKED:
        telling = _telling(terms, frequency, total)
        counted = sum(map(frequency.__getitem__, telling))
        sums = [rows * share for rows in accumulate(map(frequency.__getitem__, telling))]
        rare, common = telling[: bisect(sums, _RANKED)], telling[bisect(sums, _RANKED) :]
        weights = [_weight(frequency[term], total) for term in telling]
        if rare:
            # Whatever is among the best has its full score from the first, or else no common word.
            both = (f"({_any(rare)}) AND ({_any(common)})",) if common else ()
            yield _Look((*both, _any(rare)), _RANKED)
        uncounted = counted > _COUNTED
        if len(common) > 1:
            together = total * share
            for term in common:
                together *= frequency[term] / total
            weight = sum(weights[len(rare) :]) if uncounted else None
            yield _Look((" AND ".join(map(_quoted, common)),), int(together), weight)
        yield _Look((_any(telling),), int(sums[-1]), weights[-1] if uncounted else None)
    yield _Look((_any(terms),), 0)


def _telling(terms: Sequence[str], frequency: Mapping[str, int], total: int) -> Sequence[str]:
    """Those of ``terms`` that decide: BM25 gives no weight to what stands in more than half of all chunks."""
    telling = [term for term in terms if 2 * frequency[term] <= total] or terms[:1]
    if sum(map(frequency.__getitem__, telling)) <= _COUNTED:
        return telling
    weights = list(accumulate(_weight(frequency[term], total) for term in telling))
    return telling[: bisect_left(weights, (1 - _NEGLIGIBLE) * weights[-1]) + 1]


def _weight(frequency: int, total: int) -> float:
    """What BM25 gives a chunk of average length that has such a word once."""
    return max(0.0, math.log((total - frequency + 0.5) / (frequency + 0.5))) if frequency < total else 0.0


def _frequencies(connection: Connection, terms: Sequence[str], total: int) -> dict[str, int]:
    """In how many chunks those of ``terms`` stand that stand anywhere, in the order given; about, for SQLite counts."""
    known_for, known = connection.info.get("frequencies", (0, {}))
    if not known_for <= total <= known_for * 1.1 or len(known) > _REMEMBERED:
        known_for, known = connection.info["frequencies"] = (total, {})
    for batch in batches(term for term in terms if term not in known):
        known |= {row.term: row.doc for row in connection.execute(_FREQUENCY, {"terms": batch})}
    return {term: known[term] for term in terms if term in known}


def _any(terms: Sequence[str]) -> str:
    return " OR ".join(map(_quoted, terms))


def _scope(collection_id: int) -> str:
    return f"c{collection_id}"


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'
