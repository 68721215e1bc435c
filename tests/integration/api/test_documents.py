"""Documents are handed in by upload, path and URL, looked at and removed."""

from pathlib import Path

from tests.support.service import Service

TEXT = b"The sluice gate is oiled on Mondays."


def test_upload_registers_every_file_whatever_its_field_is_called(api: Service) -> None:
    files = [("files", ("a.txt", TEXT)), ("file", ("磨坊 日志.md", TEXT)), ("attachment-7", ("c", TEXT))]

    response = api.post("/api/documents", files=files, data={"collection": "letters"})

    assert response.status_code == 201
    documents = response.json()["data"]["documents"]
    assert [document["name"] for document in documents] == ["a.txt", "磨坊 日志.md", "c"]
    assert {document["collection"] for document in documents} == {"letters"}
    assert {document["state"] for document in documents} == {"registered"}
    assert all(isinstance(document["id"], int) for document in documents)


def test_upload_keeps_the_id_of_a_document_that_is_sent_again(api: Service) -> None:
    first = api.data(api.post("/api/documents", files={"file": ("a.txt", TEXT)}))["documents"][0]

    second = api.data(api.post("/api/documents", files={"file": ("a.txt", TEXT + b" And on Fridays.")}))["documents"][0]

    assert second["id"] == first["id"]
    assert second["size"] > first["size"]


def test_upload_names_the_file_that_failed_and_registers_the_rest(api: Service) -> None:
    files = [("files", ("big.txt", b"x" * (1024 * 1024 + 1))), ("files", ("small.txt", TEXT))]

    data = api.data(api.post("/api/documents", files=files))

    assert [document["name"] for document in data["documents"]] == ["small.txt"]
    assert [(item["name"], item["code"]) for item in data["failed"]] == [("big.txt", "file_too_large")]


def test_upload_is_refused_when_no_file_can_be_registered(api: Service) -> None:
    response = api.post("/api/documents", files={"file": ("big.txt", b"x" * (1024 * 1024 + 1))})

    problem = response.json()
    assert response.status_code == 413
    assert problem["code"] == "file_too_large"
    assert [item["name"] for item in problem["failed"]] == ["big.txt"]


def test_upload_passes_over_a_file_field_that_a_browser_left_empty(api: Service) -> None:
    boundary = "----form"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhello\r\n'
        f"--{boundary}--\r\n"
    )

    response = api.post(
        "/api/documents", data=body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )

    assert [document["name"] for document in api.data(response)["documents"]] == ["a.txt"]


def test_upload_name_cannot_leave_its_place(api: Service) -> None:
    response = api.post("/api/documents", files={"file": ("../../etc/pass\x00wd", TEXT)})

    assert [document["name"] for document in api.data(response)["documents"]] == ["passwd"]


def test_paths_and_urls_are_registered_in_one_request(api: Service, library: Path) -> None:
    body = {"paths": [str(library / "mill.txt")], "urls": ["https://example.org/weir.html"], "collection": "both"}

    documents = api.data(api.post("/api/documents", json=body))["documents"]

    assert [(document["origin"], document["name"]) for document in documents] == [
        ("path", "mill.txt"),
        ("url", "weir.html"),
    ]
    assert documents[0]["source"] == str(library / "mill.txt")


def test_document_of_a_url_has_the_name_that_people_read_there(api: Service) -> None:
    url = "https://example.org/%E6%B0%B4%E8%BD%AE%20plan.html?page=1"

    (document,) = api.data(api.post("/api/documents", json={"urls": [url]}))["documents"]

    assert (document["name"], document["source"]) == ("水轮 plan.html", url)


def test_a_path_outside_the_roots_fails_alone_and_tells_nothing_of_the_machine(api: Service, library: Path) -> None:
    outside = "/etc/hostname"

    data = api.data(api.post("/api/documents", json={"paths": [outside, str(library / "mill.txt")]}))
    refused = api.post("/api/documents", json={"paths": [outside]})

    assert [document["name"] for document in data["documents"]] == ["mill.txt"]
    assert [item["code"] for item in data["failed"]] == ["path_outside_roots"]
    assert refused.status_code == 403
    assert str(library) not in refused.text


def test_list_pages_through_every_document_once(api: Service) -> None:
    ids = api.register("a", "b", "c", "d", "e")
    seen: list[int] = []
    cursor = ""

    while True:
        page = api.data(api.get(f"/api/documents?limit=2{cursor}"))
        seen += [document["id"] for document in page["documents"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == ids
    assert page["total"] == 5


def test_list_filters_by_name_text_state_and_kind(api: Service) -> None:
    files = [("f", ("Flood plan.txt", TEXT)), ("f", ("wheel.py", b"x = 1"))]
    api.post("/api/documents", files=files)

    def names(query: str) -> list[str]:
        return [document["name"] for document in api.data(api.get(f"/api/documents?{query}"))["documents"]]

    assert names("name=*.txt") == ["Flood plan.txt"]
    assert names("text=flood") == ["Flood plan.txt"]
    assert names("kind=code") == ["wheel.py"]
    assert names("state=indexed,failed") == []
    assert names("state=registered&collection=default") == ["Flood plan.txt", "wheel.py"]
    assert names("collection=elsewhere") == []


def test_deleted_document_is_gone_at_once(api: Service) -> None:
    (document_id,) = api.register("a")

    deleted = api.delete(f"/api/documents/{document_id}")

    assert api.data(deleted) == {"deleted": [document_id]}
    for again in (api.get(f"/api/documents/{document_id}"), api.delete(f"/api/documents/{document_id}")):
        assert again.status_code == 404
        assert again.json()["code"] == "document_not_found"
