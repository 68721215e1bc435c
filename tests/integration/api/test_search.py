"""What was indexed is found: by meaning, by words, within filters, page by page."""

from typing import Any

import pytest

from tests.support.service import Service

TEXTS = (
    "The warden oils the sluice gate every Monday before sunrise.",
    "Bread is baked from stone ground flour in the bakery.",
    "水车每天早晨由守夜人检查，然后打开闸门。",
    "The museum shop sells postcards and tea towels.",
)


@pytest.fixture(scope="module")
def shelf(mill: Service) -> Service:
    ids = mill.register(*TEXTS, collection="shelf")
    mill.data(mill.post("/api/index/index-documents", json={"doc_ids": ids}))
    return mill


def found(service: Service, **body: Any) -> dict[str, Any]:
    data: dict[str, Any] = service.data(service.post("/api/search", json={"collection": "shelf", **body}))
    return data


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_best_hit_comes_first_in_every_mode(shelf: Service, mode: str) -> None:
    page = found(shelf, query="who oils the sluice gate", mode=mode)

    hit = page["hits"][0]
    assert page["mode"] == mode
    assert hit["chunk"]["text"] == TEXTS[0]
    assert hit["document"]["name"] == "shelf-0.txt"
    assert hit["document"]["media_type"] == "text/plain"
    assert hit["document"]["material"] == "text"
    assert hit["version"] == 1
    assert 0 < hit["score"] <= 1
    assert hit["location"] == {"page": None, "start": 0, "end": len(TEXTS[0]), "headings": [], "part": None}
    assert (hit["vector_score"] is None) == (mode == "keyword")
    assert (hit["keyword_score"] is None) == (mode == "vector")


def test_chinese_is_found_by_its_words_and_they_are_marked(shelf: Service) -> None:
    hit = found(shelf, query="闸门", mode="keyword")["hits"][0]

    marked = [part["text"][start:end] for part in hit["highlights"] for start, end in part["ranges"]]
    assert hit["chunk"]["text"] == TEXTS[2]
    assert marked == ["闸门"]


def test_pages_neither_repeat_nor_skip(shelf: Service) -> None:
    whole = [hit["chunk"]["no"] for hit in found(shelf, query="the sluice gate")["hits"]]

    paged = [
        hit["chunk"]["no"]
        for offset in range(len(whole))
        for hit in found(shelf, query="the sluice gate", limit=1, offset=offset)["hits"]
    ]

    assert paged == whole


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"name": "shelf-0.*"}, 1),
        ({"name": "*.pdf"}, 0),
        ({"media_type": ["text/plain"]}, 4),
        ({"media_type": "application/pdf"}, 0),
        ({"source_prefix": "upload:shelf-1"}, 1),
        ({"text": "SHELF"}, 4),
        ({"ids": [999_999]}, 0),
    ],
)
def test_filters_narrow_the_search(shelf: Service, filters: dict[str, Any], count: int) -> None:
    assert len(found(shelf, query="the sluice gate", mode="vector", filters=filters)["hits"]) == count


def test_kind_narrows_the_search(shelf: Service) -> None:
    assert found(shelf, query="gate", kind="code")["hits"] == []
    assert found(shelf, query="gate", kind="text")["hits"] != []


def test_unknown_filter_is_refused_and_the_known_ones_named(shelf: Service) -> None:
    response = shelf.post("/api/search", json={"query": "gate", "filters": {"colour": "red"}})

    assert response.status_code == 422
    assert response.json()["field"] == "filters.colour"
    assert "source_prefix" in response.json()["message"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "  "}, "query_empty"),
        ({"query": "x" * 5000}, "query_too_long"),
        ({"query": "x", "mode": "magic"}, "field_not_a_choice"),
        ({"query": "x", "limit": 0}, "field_out_of_range"),
        ({"query": "x", "offset": 10**6}, "field_out_of_range"),
        ({}, "field_missing"),
    ],
)
def test_bad_search_is_refused(shelf: Service, body: dict[str, Any], code: str) -> None:
    response = shelf.post("/api/search", json={"collection": "shelf", **body})

    assert response.status_code == 422
    assert response.json()["code"] == code


def test_search_of_a_collection_that_does_not_exist_is_not_found(shelf: Service) -> None:
    response = shelf.post("/api/search", json={"query": "x", "collection": "nowhere"})

    assert response.status_code == 404
    assert response.json()["code"] == "collection_not_found"
