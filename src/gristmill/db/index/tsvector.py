"""Full-text search of chunks with Postgres: terms in a ``tsvector`` under a GIN index, ranked by BM25.

Positions only count how often a term stands in a chunk. ``ts_rank`` of one term sums 1/n² over its places (Postgres,
``src/backend/utils/adt/tsrank.c``), divided by pi²/6; from that sum the count is told again, which is faster than any
look into the vector that SQL has.
"""

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Float, Text, bindparam, column, exists, func, select, table, text, true
from sqlalchemy.engine import Connection

from gristmill.db.index.filters import conditions
from gristmill.db.schema import documents, version_chunks
from gristmill.db.tokens import query_tokens, select_terms
from gristmill.index.model import Collection, DocumentFilter, Scored

__all__ = ["add", "remove", "search"]

_RANKED = 20_000
"""Chunks that a search ranks at most, the newest; it takes about as many microseconds."""
_MOST_PLACES = 255
"""Postgres keeps no more of one term."""
_K1, _B = 1.2, 0.75
_WHOLE = math.pi**2 / 6

_WORDS = table("chunk_words", column("chunk_no"), column("collection_id"), column("words"), column("length"))

_COMMON = text(
    "SELECT term, share FROM pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs) AS t (term, share)"
    " WHERE schemaname = current_schema() AND tablename = 'chunk_words' AND attname = 'words' AND term = ANY(:terms)"
).bindparams(bindparam("terms", type_=ARRAY(Text)))
_SIZE = text(
    "SELECT count(*) AS chunks, coalesce(avg(length), 1) AS length FROM chunk_words WHERE collection_id = :collection_id"
)


def add(connection: Connection, collection_id: int, words: Sequence[tuple[int, str]]) -> None:
    """Make chunks findable: pairs of chunk number and terms joined by spaces."""
    if words:
        connection.exec_driver_sql(
            "INSERT INTO chunk_words (chunk_no, collection_id, words, length) VALUES (%s, %s, %s::tsvector, %s)",
            [(chunk_no, collection_id, *_vector(terms.split())) for chunk_no, terms in words],
        )


def _vector(terms: Sequence[str]) -> tuple[str, int]:
    """The text form of a ``tsvector``; terms have letters and digits only, so nothing in them needs quoting."""
    counts: dict[str, int] = {}
    for term in terms:
        counts[term] = counts.get(term, 0) + 1
    places = [",".join(map(str, range(1, min(count, _MOST_PLACES) + 1))) for count in counts.values()]
    return " ".join(f"'{term}':{place}" for term, place in zip(counts, places, strict=True)), len(terms)


def remove(connection: Connection, chunk_nos: Sequence[int]) -> None:
    """Undo :func:`add`."""
    if chunk_nos:
        connection.exec_driver_sql("DELETE FROM chunk_words WHERE chunk_no = ANY(%s)", (list(chunk_nos),))


def search(
    connection: Connection, collection: Collection, query: str, *, limit: int, where: DocumentFilter | None
) -> list[Scored]:
    """Visible chunks by BM25, best first; of very many that match, only the newest are ranked."""
    size = connection.execute(_SIZE, {"collection_id": collection.id}).one()
    frequency = _frequencies(connection, query_tokens(query), size.chunks)
    terms = select_terms(list(frequency), frequency)
    if not terms or limit < 1:
        return []
    weights = [math.log(1 + (size.chunks - frequency[term] + 0.5) / (frequency[term] + 0.5)) for term in terms]
    visible = (
        exists()
        .where(version_chunks.c.chunk_no == _WORDS.c.chunk_no)
        .where(version_chunks.c.version_id == documents.c.current_version_id)
        .where(documents.c.collection_id == collection.id)
    )
    if where is not None:
        visible = visible.where(*conditions(where))
    matching = (
        select(_WORDS)
        .where(
            _WORDS.c.collection_id == collection.id,
            _WORDS.c.words.op("@@")(func.to_tsquery("simple", " | ".join(terms))),
            visible,
        )
        .order_by(_WORDS.c.chunk_no.desc())
        .limit(_RANKED)
        .cte("matching")
    )
    asked = func.unnest(_texts(terms), _numbers(weights)).table_valued("term", "weight").render_derived().alias("asked")
    needles = select(asked.c.weight, func.to_tsquery("simple", asked.c.term).label("needle")).cte("needles")
    rank = func.ts_rank(text("'{1,1,1,1}'::float4[]"), matching.c.words, needles.c.needle)
    found = (
        select(matching.c.chunk_no, matching.c.length, needles.c.weight, rank.label("rank"))
        .join_from(matching, needles, true())
        .subquery()
    )
    times = 1 / (_WHOLE * (1 - found.c.rank)) - 0.5
    damped = times + _K1 * (1 - _B + _B * found.c.length / float(size.length))
    score = func.sum(found.c.weight * times * (_K1 + 1) / damped)
    ranking = (
        select(found.c.chunk_no, score.label("score"))
        .where(found.c.rank > 0)
        .group_by(found.c.chunk_no)
        .order_by(score.desc(), found.c.chunk_no)
        .limit(limit)
    )
    return [Scored(chunk_no=row.chunk_no, score=row.score) for row in connection.execute(ranking)]


def _frequencies(connection: Connection, terms: Sequence[str], total: int) -> dict[str, int]:
    """In how many chunks those of ``terms`` stand that stand anywhere, in the order given.

    What is common is known from the statistics that the server keeps; what is not takes no time to count.
    """
    if not terms:
        return {}
    known = {row.term: int(row.share * total) for row in connection.execute(_COMMON, {"terms": list(terms)})}
    for term in terms:
        if term not in known:
            counted = (
                select(func.count()).select_from(_WORDS).where(_WORDS.c.words.op("@@")(func.to_tsquery("simple", term)))
            )
            known[term] = min(total, connection.execute(counted).scalar_one())
    return {term: known[term] for term in terms if known[term]}


def _texts(values: Sequence[str]) -> Any:
    return bindparam(None, list(values), type_=ARRAY(Text))


def _numbers(values: Sequence[float]) -> Any:
    return bindparam(None, list(values), type_=ARRAY(Float))
