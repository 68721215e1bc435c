"""Search over a real store, with an embedder whose meanings the test decides."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.db.tokens import query_tokens, token_spans
from gristmill.errors import InvalidInput, NotFound, Unavailable
from gristmill.index.model import DocumentFilter, Material, SearchMode, Space
from gristmill.index.search import Searcher, SearchPage
from tests.contracts.shelf import FixedClock, Shelf, vector_of


class Meanings:
    """Embeds a query as the text it is said to mean."""

    def __init__(self) -> None:
        self.meant: dict[str, str] = {}
        self.calls = 0

    def __call__(self, space: Space, text: str, /) -> Any:
        self.calls += 1
        return vector_of(self.meant.get(text, text), dimension=space.dimension)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    database = Database(f"sqlite:///{tmp_path / 'search.db'}")
    database.migrate()
    yield Shelf(SqlIndexStore(database, clock=FixedClock()), database)
    in_use = database.checked_out()
    database.close()
    assert in_use == 0


@pytest.fixture
def meanings() -> Meanings:
    return Meanings()


def any_text(space: Space) -> bool:
    return space.dimension > 0


@pytest.fixture
def searcher(shelf: Shelf, meanings: Meanings) -> Searcher:
    return Searcher(
        shelf.store, embed_query=meanings, query_terms=query_tokens, token_spans=token_spans, reads_text=any_text
    )


def texts(page: SearchPage) -> list[str]:
    return [hit.text for hit in page.hits]


def test_hybrid_puts_what_both_sides_found_before_what_one_found(
    shelf: Shelf, searcher: Searcher, meanings: Meanings
) -> None:
    shelf.index(shelf.document("/a"), ["car engine", "engine room", "automobile", "sunflower"])
    meanings.meant["engine"] = "car engine"

    page = searcher.search("engine", collection="books")

    assert texts(page)[0] == "car engine"
    best = page.hits[0]
    assert best.vector_score == pytest.approx(1.0)
    assert best.keyword_score is not None
    assert [hit.score for hit in page.hits] == sorted((hit.score for hit in page.hits), reverse=True)
    assert all(0 <= hit.score <= 1 for hit in page.hits)
    assert len({hit.chunk_no for hit in page.hits}) == len(page.hits) == 4


def test_first_place_in_one_list_beats_middling_places_in_both(
    shelf: Shelf, searcher: Searcher, meanings: Meanings
) -> None:
    shelf.index(shelf.document("/a"), ["quokka", *(f"animal {n}" for n in range(40))])
    meanings.meant["quokka"] = "animal 7"

    assert set(texts(searcher.search("quokka", collection="books", limit=2))) == {"quokka", "animal 7"}


def test_found_in_first_place_by_both_scores_one(shelf: Shelf, searcher: Searcher) -> None:
    shelf.index(shelf.document("/a"), ["quokka", "wombat"])

    assert searcher.search("quokka", collection="books").hits[0].score == pytest.approx(1.0)


@pytest.mark.parametrize(("mode", "expected"), [(SearchMode.VECTOR, "wombat"), (SearchMode.KEYWORD, "quokka")])
def test_mode_decides_which_side_answers(
    shelf: Shelf, searcher: Searcher, meanings: Meanings, mode: SearchMode, expected: str
) -> None:
    shelf.index(shelf.document("/a"), ["quokka", "wombat"])
    meanings.meant["quokka"] = "wombat"

    page = searcher.search("quokka", collection="books", mode=mode)

    assert texts(page)[0] == expected
    assert page.mode is mode
    assert 0 < page.hits[0].score <= 1
    assert (page.hits[0].vector_score is None) == (mode is SearchMode.KEYWORD)
    assert (page.hits[0].keyword_score is None) == (mode is SearchMode.VECTOR)


def test_keyword_search_needs_no_model(shelf: Shelf, searcher: Searcher, meanings: Meanings) -> None:
    shelf.index(shelf.document("/a"), ["quokka"])

    searcher.search("quokka", collection="books", mode=SearchMode.KEYWORD)

    assert meanings.calls == 0


@pytest.mark.parametrize(
    ("query", "marked"), [("running", ["runs"]), ("数据库", ["数据库"]), ("数据库 run", ["runs", "数据库"])]
)
def test_hits_show_the_words_that_matched(shelf: Shelf, searcher: Searcher, query: str, marked: list[str]) -> None:
    shelf.index(shelf.document("/a"), ["it runs a 数据库 here", "nothing"])

    hit = searcher.search(query, collection="books").hits[0]

    fragment = hit.highlights[0]
    assert [fragment.text[start:end] for start, end in fragment.ranges] == marked


def test_pages_follow_each_other_without_gap_or_repetition(shelf: Shelf, searcher: Searcher) -> None:
    shelf.index(shelf.document("/a"), [f"word {n}" for n in range(35)])
    whole = searcher.search("word", collection="books", limit=50)

    pages = [searcher.search("word", collection="books", limit=10, offset=offset) for offset in (0, 10, 20, 30, 40)]

    assert [text for page in pages for text in texts(page)] == texts(whole)
    assert [page.more for page in pages] == [True, True, True, False, False]
    assert {page.total for page in pages} == {35}


def test_material_and_filter_narrow_the_answer(shelf: Shelf, searcher: Searcher) -> None:
    shelf.index(shelf.document("/a.txt"), ["apple text"])
    shelf.index(shelf.document("/a.py", material=Material.CODE), ["apple code"])

    code = searcher.search("apple", collection="books", material=Material.CODE)
    text = searcher.search("apple", collection="books", where=DocumentFilter(name="*.txt"))

    assert (texts(code), texts(text)) == (["apple code"], ["apple text"])


def test_filter_of_another_collection_does_not_lead_out_of_this_one(shelf: Shelf, searcher: Searcher) -> None:
    other = Shelf(shelf.store, shelf.database, "other")
    other.index(other.document("/a"), ["secret apple"])
    shelf.index(shelf.document("/a"), ["apple"])

    page = searcher.search("apple", collection="books", where=DocumentFilter(collection="other"))

    assert texts(page) == ["apple"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"query": ""}, "query"),
        ({"query": " \n\t　"}, "query"),
        ({"query": "x" * 4001}, "query"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": 1001}, "offset"),
    ],
)
def test_wrong_argument_is_named(searcher: Searcher, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        searcher.search(**({"query": "apple", "collection": "books"} | asked))

    assert error.value.facts["field"] == field
    assert field in str(error.value)


def test_unknown_collection_is_not_found(searcher: Searcher) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        searcher.search("apple", collection="nowhere")


def test_empty_collection_answers_with_an_empty_page(searcher: Searcher) -> None:
    page = searcher.search("apple", collection="books")

    assert (page.hits, page.total, page.more) == ((), 0, False)


def test_switch_of_models_in_the_middle_of_a_search_is_not_noticed(shelf: Shelf) -> None:
    shelf.index(shelf.document("/a"), ["apple"])

    def embed_while_the_collection_switches(space: Space, text: str, /) -> Any:
        if space.model_id == "one":
            new = shelf.store.begin_space("books", embedder="test", model_id="two", dimension=4)
            for chunk in shelf.store.chunks_to_embed(new.id, limit=9):
                shelf.store.add_embeddings(new.id, [(chunk.chunk_no, vector_of(chunk.text, dimension=4))])
            with shelf.database.write() as transaction:
                assert shelf.store.activate_space(transaction, new.id)
        return vector_of(text, dimension=space.dimension)

    searcher = Searcher(
        shelf.store,
        embed_query=embed_while_the_collection_switches,
        query_terms=query_tokens,
        token_spans=token_spans,
        reads_text=any_text,
    )

    hit = searcher.search("apple", collection="books").hits[0]

    assert hit.text == "apple"
    assert hit.vector_score == pytest.approx(1.0)


def test_hits_that_are_replaced_before_they_are_read_are_looked_for_again(
    shelf: Shelf, meanings: Meanings, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = shelf.document("/a")
    shelf.index(book, ["quokka then", "wombat then"])
    read, changes = shelf.store.hits, iter((["quokka now", "wombat now"],))

    def overtaken(*found: Any) -> Any:
        """As another process does it that publishes between two looks of ours."""
        for texts_now in changes:
            shelf.index(book, texts_now)
        return read(*found)

    monkeypatch.setattr(shelf.store, "hits", overtaken)
    searcher = Searcher(
        shelf.store, embed_query=meanings, query_terms=query_tokens, token_spans=token_spans, reads_text=any_text
    )

    assert sorted(texts(searcher.search("quokka", collection="books"))) == ["quokka now", "wombat now"]


def test_hybrid_fails_as_the_model_does_and_leaves_no_search_by_words_behind(shelf: Shelf) -> None:
    shelf.index(shelf.document("/a"), ["car engine"])

    def no_model(_space: Space, _text: str, /) -> Any:
        raise Unavailable("database_busy")

    searcher = Searcher(
        shelf.store, embed_query=no_model, query_terms=query_tokens, token_spans=token_spans, reads_text=any_text
    )

    with pytest.raises(Unavailable):
        searcher.search("engine", collection="books")

    assert shelf.database.checked_out() == 0


def test_hybrid_searches_all_at_once_are_answered(
    shelf: Shelf, searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searcher, "_beside", ThreadPoolExecutor(1))
    shelf.index(shelf.document("/a"), ["car engine", "sunflower"])

    with ThreadPoolExecutor(8) as askers:
        pages = list(askers.map(lambda _: searcher.search("engine", collection="books"), range(40)))

    assert {page.hits[0].text for page in pages} == {"car engine"}
    assert all(page.hits[0].keyword_score for page in pages)
