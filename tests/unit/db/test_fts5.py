"""The word index among many chunks: rare words decide, and common ones do not make a search slow or empty."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore, fts5
from gristmill.index.model import DocumentFilter, Scored
from tests.contracts.shelf import FixedClock, Shelf

COMMON = ("river", "stone", "garden")


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    database = Database(f"sqlite:///{tmp_path / 'words.db'}")
    database.migrate()
    shelf = Shelf(SqlIndexStore(database, clock=FixedClock()), database)
    chance = random.Random(4)
    for name in range(6):
        document = shelf.document(f"/{name}")
        version_id = shelf.begin(document)
        shelf.stage(version_id, [text_of(chance, name, number) for number in range(100)])
        shelf.publish(version_id)
    yield shelf
    database.close()


def text_of(chance: random.Random, name: int, number: int) -> str:
    """About two of five texts have each common word; ``heron`` is in every thirtieth."""
    body = [word for word in COMMON for _ in range(chance.choice([0, 0, 0, 1, 2]))]
    rare = ["heron"] if number % 30 == 0 else []
    return " ".join(
        [*body, *rare, *(f"filler{chance.randrange(9)}" for _ in range(chance.randint(3, 9))), f"{name} {number}"]
    )


def found(shelf: Shelf, query: str, *, limit: int, where: DocumentFilter | None = None) -> list[tuple[int, float]]:
    scored = shelf.store.text(shelf.collection, query, limit=limit, where=where)
    return [(one.chunk_no, round(one.score, 6)) for one in scored]


@pytest.fixture
def _ranks_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fts5, "_RANKED", 40)


@pytest.mark.parametrize("query", ["heron", "heron river", "garden heron stone river"])
def test_chunks_with_a_rare_word_are_ranked_as_if_all_were(
    shelf: Shelf, query: str, request: pytest.FixtureRequest
) -> None:
    herons = {number for number, _ in found(shelf, "heron", limit=100)}
    exact = [pair for pair in found(shelf, query, limit=600) if pair[0] in herons]

    request.getfixturevalue("_ranks_few")
    quick = found(shelf, query, limit=len(herons))

    assert quick == exact


@pytest.mark.usefixtures("_ranks_few")
@pytest.mark.parametrize("query", ["river", "river stone", "stone garden river", "heron river"])
def test_common_words_find_as_many_as_are_wanted(shelf: Shelf, query: str) -> None:
    assert len(found(shelf, query, limit=30)) == 30


@pytest.mark.usefixtures("_ranks_few")
@pytest.mark.parametrize("query", ["river", "river stone"])
def test_words_too_common_to_be_counted_find_the_newest_that_have_all(
    shelf: Shelf, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fts5, "_COUNTED", 100)

    answer = [number for number, _ in found(shelf, query, limit=40)]

    matching = [number for number, _ in found(shelf, query, limit=600)]
    texts = dict(zip(matching, shelf.texts([Scored(chunk_no=no, score=0.0) for no in matching]), strict=True))
    newest = sorted((no for no in matching if set(query.split()) <= set(texts[no].split())), reverse=True)
    assert answer == sorted(newest[:40])


@pytest.mark.usefixtures("_ranks_few")
def test_chunk_with_all_common_words_comes_before_those_with_one(shelf: Shelf) -> None:
    best = shelf.store.text(shelf.collection, "river stone garden", limit=5)

    for text in shelf.texts(best):
        assert set(COMMON) <= set(text.split())


@pytest.mark.usefixtures("_ranks_few")
def test_filter_that_leaves_only_old_documents_finds_their_common_words(shelf: Shelf) -> None:
    oldest = shelf.store.documents(DocumentFilter(), limit=1)[0]

    hits = found(shelf, "river", limit=10, where=DocumentFilter(ids=[oldest.id]))

    assert len(hits) == 10


@pytest.mark.usefixtures("_ranks_few")
def test_small_collection_beside_a_large_one_keeps_its_own(shelf: Shelf) -> None:
    other = Shelf(shelf.store, shelf.database, "other")
    other.index(other.document("/other"), ["one river", "another stone"])

    assert other.texts(other.store.text(other.collection, "river", limit=10)) == ["one river"]


def test_word_that_came_after_a_search_for_it_is_found(shelf: Shelf) -> None:
    assert found(shelf, "osprey", limit=10) == []

    shelf.index(shelf.document("/new"), ["an osprey"])

    assert len(found(shelf, "osprey", limit=10)) == 1


def test_word_that_reads_like_the_mark_of_a_collection_finds_only_texts_with_it(shelf: Shelf) -> None:
    mark = f"c{shelf.collection.id}"
    shelf.index(shelf.document("/marked"), [f"bolt {mark} of the gate"])

    assert shelf.texts(shelf.store.text(shelf.collection, mark, limit=10)) == [f"bolt {mark} of the gate"]
