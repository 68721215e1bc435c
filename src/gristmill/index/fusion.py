"""Fusion: one ranking out of what was found by meaning and what was found by words.

Scores are added, not ranks (a convex combination; Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid
Retrieval", ACM TOIS 42(1), 2023). Ranks forget how good a hit is: the first of the words would count as much when only
"Linux" matched as when everything did. So both scores are put on scales that say how much a side has found.
"""

from collections.abc import Sequence
from math import log

from gristmill.index.model import Scored

__all__ = ["fused"]

_MEANING = 0.5
"""What a cosine of one is worth; finding all the words is worth the rest."""
_UNRELATED = 200
"""The place by meaning whose chunk has nothing to do with the query. Models differ in the cosine that means nothing,
from 0.1 to 0.8. It is a place and not the end of the list, so that deeper lists rank alike."""
_WORD_FOUND = 1.4
"""BM25 of a word found, in units of the weight of one that stands in a single chunk: what such a word scores in a chunk
of average length is 1, and up to 2.2 if it stands there often."""
_MOST_TERMS = 12
"""Terms that count: of a longer query only the rarest are looked for."""
_HANDFUL = 10
"""Chunks among which BM25 gives hardly any word a weight: there, the best match of the words is a full one."""


def fused(by_meaning: Sequence[Scored], by_words: Sequence[Scored], *, terms: int, chunks: int) -> dict[int, float]:
    """Scores from zero to one, higher is better, of all chunks in either list.

    The scores of ``by_meaning`` are cosines, best first; those of ``by_words`` are BM25 for a query of ``terms`` terms
    in a collection of ``chunks`` chunks.
    """
    floor = _floor(by_meaning)
    all_found = max((scored.score for scored in by_words), default=0.0) or 1.0
    if chunks > _HANDFUL:
        all_found = min(max(terms, 1), _MOST_TERMS) * _WORD_FOUND * log(chunks + 1)
    scores = {scored.chunk_no: _MEANING * max(0.0, scored.score - floor) / (1 - floor) for scored in by_meaning}
    for scored in by_words:
        scores[scored.chunk_no] = scores.get(scored.chunk_no, 0.0) + (1 - _MEANING) * scored.score / all_found
    # Words are weighed among the chunks of all collections, so in a small one BM25 may be beyond what its size suggests.
    most = max(1.0, *scores.values()) if scores else 1.0
    return {no: score / most for no, score in scores.items()}


def _floor(by_meaning: Sequence[Scored]) -> float:
    """The cosine that means nothing; the fewer chunks there are, the less can be said, and the closer it is to zero."""
    known = by_meaning[:_UNRELATED]
    # Below one, for a collection may hold the same text hundreds of times.
    return min(0.99, max(0.0, known[-1].score)) * len(known) / _UNRELATED if known else 0.0
