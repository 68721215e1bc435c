"""Collections are made, looked at, changed and deleted."""

from gristmill.tasks.model import TaskFilter
from tests.support.service import Service


def test_put_makes_a_collection_once(api: Service) -> None:
    created = api.put("/api/collections/文件")
    again = api.put("/api/collections/文件", json={"embedder": "multilingual"})

    assert created.status_code == 201
    assert again.status_code == 200
    view = api.data(again)["collection"]
    assert view["name"] == "文件"
    assert view["embedder"] == "multilingual"
    assert view["documents"] == view["chunks"] == 0
    assert api.data(api.get("/api/collections"))["collections"] == [view]
    assert api.data(api.get("/api/collections/文件")) == view


def test_put_changes_the_embedder_as_a_task(api: Service) -> None:
    api.put("/api/collections/c")

    response = api.put("/api/collections/c", json={"embedder": "fast"})

    (task,) = api.app.tasks.find(TaskFilter())
    assert response.status_code == 202
    assert response.json()["data"]["task_id"] == task.id
    assert response.json()["data"]["collection"]["embedder"] == "multilingual"
    assert (task.kind, task.payload) == ("reembed_collection", {"collection": "c", "embedder": "fast"})


def test_put_refuses_an_embedder_that_does_not_exist_and_makes_nothing(api: Service) -> None:
    new = api.put("/api/collections/new", json={"embedder": "psychic"})

    assert new.status_code == 422
    assert new.json()["code"] == "embedder_unknown"
    assert api.data(api.get("/api/collections"))["collections"] == []


def test_put_refuses_a_name_that_cannot_be_one(api: Service) -> None:
    for name in ("%20", "x" * 101, "a%00b"):
        response = api.put(f"/api/collections/{name}")

        assert response.status_code == 422
        assert response.json()["code"] == "collection_name_invalid"


def test_deleted_collection_takes_its_documents_along(api: Service) -> None:
    ids = api.register("a", "b", collection="drafts")

    deleted = api.delete("/api/collections/drafts")

    assert api.data(deleted) == {"name": "drafts", "documents": 2}
    assert api.get(f"/api/documents/{ids[0]}").status_code == 404
    assert api.get("/api/collections/drafts").status_code == 404
    assert api.delete("/api/collections/drafts").json()["code"] == "collection_not_found"
