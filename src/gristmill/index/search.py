"""Search: two lists of candidates, one by meaning and one by words, fused into one page of hits.

Knows neither SQL nor a model: the store finds, the embedder and the term functions come from outside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from gristmill.errors import Conflict, InvalidInput
from gristmill.index.fusion import fused
from gristmill.index.highlight import highlight
from gristmill.index.model import Collection, DocumentFilter, Hit, Material, Scored, SearchMode, Space
from gristmill.index.ports import IndexStore, QueryEmbedder

__all__ = ["MOST_HITS", "MOST_OFFSET", "SearchPage", "Searcher"]

CANDIDATES = 200
"""Length of each list for the first pages. It is the same for all of them, so that paging neither repeats nor skips."""
HALF_SCORE = 8.0
"""BM25 that shows as a score of one half when searching by words alone; BM25 itself has no upper end."""
MOST_HITS = 100
MOST_OFFSET = 1000
LONGEST_QUERY = 4000
SEARCHES_BESIDE = 8
"""Searches by words that run while their query is being searched by meaning."""
_LOOKS = 3
"""How often a search is made while the collection changes under it, before it answers with what is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """One page of hits."""

    hits: tuple[Hit, ...]
    total: int
    """How many candidates were ranked; not all that match somehow."""
    more: bool
    """Whether another page follows."""
    mode: SearchMode
    collection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    chunk_no: int
    score: float
    vector_score: float | None = None
    keyword_score: float | None = None


class _TermSpans(Protocol):
    def __call__(self, text: str, /, *, only: frozenset[str]) -> Iterable[tuple[int, int, str]]: ...


class Searcher:
    """Answers searches of a store."""

    def __init__(
        self,
        store: IndexStore,
        *,
        embed_query: QueryEmbedder,
        reads_text: Callable[[Space], bool],
        query_terms: Callable[[str], Sequence[str]],
        token_spans: _TermSpans,
    ) -> None:
        self._store = store
        self._embed_query = embed_query
        self._reads_text = reads_text
        self._query_terms = query_terms
        self._token_spans = token_spans
        self._beside = ThreadPoolExecutor(SEARCHES_BESIDE, thread_name_prefix="search")

    def search(
        self,
        query: str,
        *,
        collection: str,
        mode: SearchMode = SearchMode.HYBRID,
        material: Material | None = None,
        where: DocumentFilter | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> SearchPage:
        """The hits ``offset`` to ``offset + limit``, best first; ``material`` replaces the materials of ``where``.

        :class:`InvalidInput` names the argument that is wrong; :class:`NotFound` (``collection_not_found``).
        """
        query = _checked(query, limit=limit, offset=offset)
        where = replace(where or DocumentFilter(), collection=None)
        if material is not None:
            where = replace(where, materials=(material,))
        depth = _depth(offset + limit)
        for looks_left in reversed(range(_LOOKS)):
            found = self._store.collection(collection)
            try:
                candidates = self._candidates(found, query, mode, where, depth)
            except Conflict as error:
                if error.code != "space_replaced" or not looks_left:
                    raise
                # The collection switched models between reading it and searching it; the new one is complete.
                continue
            page = candidates[offset : offset + limit]
            hits = self._hits(found, query, page)
            if len(hits) == len(page):
                break
            # What was found and is gone was replaced meanwhile, by what another look finds.
        return SearchPage(
            hits=hits,
            total=len(candidates),
            more=len(candidates) > offset + limit and offset + limit <= MOST_OFFSET,
            mode=mode,
            collection=found.name,
        )

    def _candidates(
        self, collection: Collection, query: str, mode: SearchMode, where: DocumentFilter, depth: int
    ) -> list[_Candidate]:
        def meaning() -> Sequence[Scored]:
            vector = self._embed_query(collection.space, query)
            return self._store.nearest(collection, vector, limit=depth, where=where)

        def words() -> Sequence[Scored]:
            return self._store.text(collection, query, limit=depth, where=where)

        by_meaning: Sequence[Scored] = ()
        by_words: Sequence[Scored] = ()
        if mode is SearchMode.HYBRID and not self._reads_text(collection.space):
            # Images by a model that knows no words are found by their names, and the text in them.
            by_words = words()
        elif mode is SearchMode.HYBRID:
            by_meaning, by_words = self._both(meaning, words)
        elif mode is SearchMode.VECTOR:
            by_meaning = meaning()
        else:
            by_words = words()
        if mode is SearchMode.VECTOR:
            scores = {scored.chunk_no: max(0.0, min(1.0, scored.score)) for scored in by_meaning}
        elif mode is SearchMode.KEYWORD:
            scores = {scored.chunk_no: scored.score / (scored.score + HALF_SCORE) for scored in by_words}
        else:
            terms = len(self._query_terms(query))
            scores = fused(by_meaning, by_words, terms=terms, chunks=collection.chunk_count)
        cosines = {scored.chunk_no: scored.score for scored in by_meaning}
        bm25 = {scored.chunk_no: scored.score for scored in by_words}
        candidates = [
            _Candidate(chunk_no=no, score=score, vector_score=cosines.get(no), keyword_score=bm25.get(no))
            for no, score in scores.items()
        ]
        return sorted(candidates, key=_order)

    def _both(
        self, meaning: Callable[[], Sequence[Scored]], words: Callable[[], Sequence[Scored]]
    ) -> tuple[Sequence[Scored], Sequence[Scored]]:
        """Both lists at the same time: hardly any of either is Python, so they need not wait for one another."""
        beside = self._beside.submit(words)
        try:
            by_meaning = meaning()
        finally:
            # Where other searches keep all of the threads, this one does not wait for its turn.
            begun = not beside.cancel()
            if begun:
                wait([beside])
        return by_meaning, beside.result() if begun else words()

    def _hits(self, collection: Collection, query: str, page: Sequence[_Candidate]) -> tuple[Hit, ...]:
        by_number: Mapping[int, _Candidate] = {candidate.chunk_no: candidate for candidate in page}
        terms = frozenset(self._query_terms(query))
        spans = partial(self._token_spans, only=terms)
        hits = self._store.hits(
            collection, [Scored(chunk_no=candidate.chunk_no, score=candidate.score) for candidate in page]
        )
        return tuple(
            replace(
                hit,
                vector_score=by_number[hit.chunk_no].vector_score,
                keyword_score=by_number[hit.chunk_no].keyword_score,
                highlights=tuple(highlight(hit.text, terms, spans)),
            )
            for hit in hits
        )


def _checked(query: str, *, limit: int, offset: int) -> str:
    query = query.strip()
    if not query:
        raise InvalidInput("query_empty", field="query")
    if len(query) > LONGEST_QUERY:
        raise InvalidInput("query_too_long", field="query", actual=len(query), maximum=LONGEST_QUERY)
    if not 1 <= limit <= MOST_HITS:
        raise InvalidInput("page_out_of_range", field="limit", value=limit, minimum=1, maximum=MOST_HITS)
    if not 0 <= offset <= MOST_OFFSET:
        raise InvalidInput("page_out_of_range", field="offset", value=offset, minimum=0, maximum=MOST_OFFSET)
    return query


def _depth(wanted: int) -> int:
    depth = CANDIDATES
    while depth < 4 * wanted:
        depth *= 4
    return depth


def _order(candidate: _Candidate) -> tuple[float, float, int]:
    return -candidate.score, -(candidate.vector_score or 0.0), candidate.chunk_no
