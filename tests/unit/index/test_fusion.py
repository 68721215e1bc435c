"""Fusion of two lists of candidates, by what their scores say."""

import math

import pytest

from gristmill.index.fusion import fused
from gristmill.index.model import Scored

ONE_WORD = math.log(1001)
"""BM25, about, of a word that stands in one chunk of a thousand."""


def scored(*scores: tuple[int, float]) -> list[Scored]:
    return [Scored(chunk_no=no, score=score) for no, score in scores]


def unrelated(cosine: float, count: int = 200) -> list[tuple[int, float]]:
    return [(1000 + number, cosine - number / 1e6) for number in range(count)]


def ranking(scores: dict[int, float]) -> list[int]:
    return sorted(scores, key=lambda no: -scores[no])


def test_chunk_with_all_the_words_beats_one_that_means_about_the_same() -> None:
    meaning = scored((1, 0.7), (2, 0.3))
    words = scored((2, 2 * ONE_WORD))

    assert ranking(fused(meaning, words, terms=2, chunks=1000)) == [2, 1]


def test_one_word_of_many_does_not_beat_what_was_meant() -> None:
    meaning = scored((1, 0.7), (2, 0.3))
    words = scored((2, ONE_WORD))

    assert ranking(fused(meaning, words, terms=8, chunks=1000)) == [1, 2]


def test_terms_beyond_those_that_are_looked_for_do_not_count_as_missing() -> None:
    words = scored((1, 12 * ONE_WORD))

    assert fused([], words, terms=12, chunks=1000) == fused([], words, terms=200, chunks=1000)


def test_model_whose_cosines_are_all_high_ranks_like_one_whose_cosines_spread() -> None:
    words = scored((2, ONE_WORD))
    spreading = scored((1, 0.6), (2, 0.4), *unrelated(0.2))
    crowding = scored((1, 0.9), (2, 0.85), *unrelated(0.8))

    wide = fused(spreading, words, terms=4, chunks=1000)
    narrow = fused(crowding, words, terms=4, chunks=1000)

    assert wide == {no: pytest.approx(score, abs=0.001) for no, score in narrow.items()}


def test_deeper_lists_leave_the_scores_of_the_first_as_they_are() -> None:
    meaning = scored((1, 0.6), (2, 0.5), *unrelated(0.2, 798))
    words = scored((2, ONE_WORD), *((3000 + number, 0.5 - number / 1e6) for number in range(799)))

    shallow = fused(meaning[:200], words[:200], terms=3, chunks=100_000)
    deep = fused(meaning, words, terms=3, chunks=100_000)

    assert shallow == {no: pytest.approx(deep[no]) for no in shallow}


def test_word_decides_in_a_collection_of_two_where_bm25_has_no_weights() -> None:
    assert ranking(fused(scored((1, 0.2), (2, 0.1)), scored((2, 1e-6)), terms=1, chunks=2)) == [2, 1]


@pytest.mark.parametrize(
    ("meaning", "words", "terms", "chunks"),
    [
        ([], [], 0, 0),
        ([], [(1, 1e-6)], 1, 1),
        ([(1, 1.0000001)], [(1, 1e-6)], 1, 1),
        ([(1, -0.2), (2, -0.9)], [], 3, 1000),
        ([(number, 1.0) for number in range(300)], [(1, 9.0)], 2, 300),
        # A few chunks among the many of other collections: words are rarer than the collection is large.
        ([(1, 0.9), (2, 0.1)], [(1, 40.0), (2, 30.0)], 1, 20),
    ],
    ids=["nothing", "no vectors", "rounded up", "opposites", "copies", "small among large"],
)
def test_scores_stay_between_zero_and_one(
    meaning: list[tuple[int, float]], words: list[tuple[int, float]], terms: int, chunks: int
) -> None:
    scores = fused(scored(*meaning), scored(*words), terms=terms, chunks=chunks)

    assert scores.keys() == {no for no, _ in meaning} | {no for no, _ in words}
    assert all(0 <= score <= 1 for score in scores.values())


def test_matches_beyond_full_keep_their_order() -> None:
    scores = fused([], scored((1, 40.0), (2, 30.0)), terms=1, chunks=20)

    assert scores[1] > scores[2]
