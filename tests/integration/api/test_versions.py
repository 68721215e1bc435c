"""Versions over HTTP: what a document was before, what changed, and the way back; for one document and for a collection."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import fresh_database
from tests.support.service import Service, serving, working

OLD = "# Mill\n\nThe wheel turns slowly.\n\n水车缓缓转动。\n"
NEW = "# Mill\n\nThe wheel stands.\n\n水车停止。\n"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def library_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("data")
    url = fresh_database() if request.param == "postgres" else None
    overrides = {} if url is None else {"database": {"url": url}}
    with serving(data, overrides) as service, working(data, database=url):
        yield service


def index(service: Service, text: str, collection: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """The id of the collection's one document after its text was handed in, and what became of it."""
    files = [("files", ("mill.md", text.encode()))]
    registered = service.data(service.post("/api/documents", files=files, data={"collection": collection}))
    doc_id: int = registered["documents"][0]["id"]
    indexed = service.data(service.post("/api/index/index-documents", json={"doc_ids": [doc_id], **options}))
    return doc_id, indexed["details"][0]


def numbers(service: Service, doc_id: int) -> list[tuple[int, bool]]:
    found = service.data(service.get(f"/api/documents/{doc_id}/versions"))["versions"]
    return [(version["number"], version["is_current"]) for version in found]


def found(service: Service, query: str, collection: str) -> bool:
    body = {"query": query, "collection": collection, "mode": "keyword"}
    return bool(service.data(service.post("/api/search", json=body))["hits"])


def test_versions_are_listed_and_compared_word_by_word(library_of: Service) -> None:
    doc_id, _ = index(library_of, OLD, "compared")
    index(library_of, NEW, "compared")

    assert numbers(library_of, doc_id) == [(2, True), (1, False)]
    asked = {"before": 1, "after": 2}
    diff = library_of.data(library_of.get(f"/api/documents/{doc_id}/diff", params=asked))
    assert (diff["changed"], diff["added"], diff["removed"], diff["next_offset"]) == (1, 0, 0, None)
    words = diff["changes"][0]["text"]
    assert "".join(one["text"] for one in words if one["kind"] != "added").strip() == OLD.strip()
    assert "".join(one["text"] for one in words if one["kind"] != "removed").strip() == NEW.strip()
    same = library_of.data(library_of.get(f"/api/documents/{doc_id}/diff", params={"before": 2, "after": 2}))
    assert (same["unchanged"], same["changes"]) == (1, [])


def test_rollback_holds_until_the_source_changes(library_of: Service) -> None:
    doc_id, _ = index(library_of, OLD, "held")
    index(library_of, NEW, "held")
    assert (found(library_of, "slowly", "held"), found(library_of, "stands", "held")) == (False, True)

    rolled = library_of.data(library_of.post(f"/api/documents/{doc_id}/rollback", json={"version": 1}))

    assert rolled["version"]["number"] == 1
    assert (found(library_of, "slowly", "held"), found(library_of, "stands", "held")) == (True, False)
    assert found(library_of, "缓缓", "held")
    _, again = index(library_of, NEW, "held")
    assert again["status"] == "skipped"
    assert numbers(library_of, doc_id) == [(2, False), (1, True)]
    _, changed = index(library_of, NEW + "\nAgain.\n", "held")
    assert (changed["status"], changed["version"]) == ("completed", 3)
    library_of.data(library_of.post(f"/api/documents/{doc_id}/rollback", json={"version": 1}))
    _, forced = index(library_of, NEW + "\nAgain.\n", "held", force=True)
    assert forced["version"] == 4
    assert found(library_of, "stands", "held")


def test_snapshot_brings_a_collection_back_and_can_be_undone(library_of: Service) -> None:
    doc_id, _ = index(library_of, OLD, "whole")
    address = "/api/collections/whole/snapshots"
    snapshot = library_of.data(library_of.post(address, json={"name": "before"}))
    index(library_of, NEW, "whole")
    library_of.delete(f"/api/documents/{doc_id}")
    assert not found(library_of, "wheel", "whole")

    restored = library_of.data(library_of.post(f"{address}/{snapshot['id']}/restore"))

    assert (restored["changed"], restored["returned"], restored["removed"]) == (0, 1, 0)
    assert found(library_of, "slowly", "whole")
    undone = library_of.data(library_of.post(f"{address}/{restored['before']['id']}/restore"))
    assert undone["removed"] == 1
    assert not found(library_of, "wheel", "whole")
    names = [(one["name"], one["is_automatic"]) for one in library_of.data(library_of.get(address))["snapshots"]]
    assert names == [("before", True), ("before", True), ("before", False)]
    assert library_of.data(library_of.delete(f"{address}/{snapshot['id']}"))["id"] == snapshot["id"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/documents/99999/versions", None, 404, "document_not_found"),
        ("GET", "/api/documents/99999/diff?before=1&after=2", None, 404, "document_not_found"),
        ("GET", "/api/documents/{doc_id}/diff?before=1&after=9", None, 404, "version_not_found"),
        ("GET", "/api/documents/{doc_id}/diff?before=1", None, 422, "field_missing"),
        ("GET", "/api/documents/{doc_id}/diff?before=0&after=1", None, 422, "field_out_of_range"),
        ("POST", "/api/documents/{doc_id}/rollback", {"version": 9}, 404, "version_not_found"),
        ("POST", "/api/documents/{doc_id}/rollback", {"version": "one"}, 422, "field_not_whole_number"),
        ("POST", "/api/documents/{doc_id}/rollback", {}, 422, "field_missing"),
        ("POST", "/api/collections/nowhere/snapshots", {"name": "x"}, 404, "collection_not_found"),
        ("POST", "/api/collections/bad/snapshots", {"name": ""}, 422, "snapshot_name_invalid"),
        ("POST", "/api/collections/bad/snapshots/99999/restore", None, 404, "snapshot_not_found"),
        ("DELETE", "/api/collections/bad/snapshots/99999", None, 404, "snapshot_not_found"),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    library_of: Service, method: str, path: str, body: dict[str, Any] | None, status: int, code: str
) -> None:
    doc_id, _ = index(library_of, OLD, "bad")

    answer = library_of.call(method, path.format(doc_id=doc_id), json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_refusal_is_told_in_chinese(library_of: Service) -> None:
    doc_id, _ = index(library_of, OLD, "chinese")

    answer = library_of.post(
        f"/api/documents/{doc_id}/rollback", json={"version": 7}, headers={"Accept-Language": "zh"}
    )

    assert "没有版本 7" in answer.json()["message"]


def test_rolling_back_takes_a_key_that_may_write(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        _, secret = service.app.keys.create("reader", "read")
        headers = {"X-API-Key": secret}

        answers = [
            service.post("/api/documents/1/rollback", json={"version": 1}, headers=headers),
            service.post("/api/collections/default/snapshots", json={"name": "x"}, headers=headers),
            service.post("/api/collections/default/snapshots/1/restore", headers=headers),
            service.delete("/api/collections/default/snapshots/1", headers=headers),
        ]

    assert [answer.json()["code"] for answer in answers] == ["scope_missing"] * 4
