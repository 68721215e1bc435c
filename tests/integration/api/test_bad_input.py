"""Whatever is sent, the answer says what is wrong with it, and is never a defect of ours."""

import gc
import json
import re
import socket
from typing import Any

import pytest

from tests.support.service import Service

JSON = {"Content-Type": "application/json"}
PROBLEM = {"type", "title", "status", "detail", "code", "success", "message"}

NESTED: Any = "x"
for _ in range(400):
    NESTED = [NESTED]

VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    2**63,
    -(2**63) - 1,
    10**300,
    "",
    " ",
    "\x00",
    "../../etc/passwd",
    "x" * 100_000,
    "' OR 1=1 --",
    "%s%n{0}",
    [],
    [None],
    [[]],
    {},
    {"a": {"b": []}},
    NESTED,
]

BODIES: list[tuple[str, str, tuple[str, ...]]] = [
    ("POST", "/api/documents", ("paths", "urls", "collection")),
    ("POST", "/api/index/index-documents", ("doc_ids", "force", "priority", "user_id")),
    ("POST", "/api/build_index", ("dataset_names", "distributed", "force", "priority")),
    (
        "POST",
        "/api/images/search",
        ("image_id", "collections", "region", "limit", "offset", "min_score", "name", "media_type", "text"),
    ),
    ("POST", "/api/search", ("query", "collection", "mode", "kind", "filters", "limit", "offset")),
    ("POST", "/api/tasks", ("kind", "payload", "priority", "delay_seconds", "collection", "user_id")),
    ("POST", "/api/tasks/cancel", ("ids", "state", "kind", "queue", "parent_id", "created_after", "text", "all")),
    ("POST", "/api/tasks/retry", ("ids", "engine", "created_before", "collection")),
    ("POST", "/api/tasks/priority", ("priority", "ids")),
    ("PATCH", "/api/tasks/x", ("priority",)),
    ("PUT", "/api/collections/x", ("embedder",)),
    ("POST", "/documents/async/process", ("source", "split", "chunk_size", "chunk_overlap", "priority")),
]

QUERIES: list[tuple[str, tuple[str, ...]]] = [
    ("/api/images/duplicates", ("collection", "distance", "limit", "offset")),
    ("/api/images/1/thumbnail", ("v",)),
    (
        "/api/documents",
        ("collection", "state", "kind", "media_type", "name", "source_prefix", "text", "limit", "cursor"),
    ),
    ("/api/tasks", ("state", "kind", "queue", "engine", "parent_id", "created_after", "text", "limit", "cursor")),
    ("/api/tasks/counts", ("state", "created_before", "text")),
    ("/api/tasks/x/events", ("after", "limit")),
    ("/api/tasks/x/children", ("limit", "cursor")),
    ("/api/tasks/x/result", ("offset", "limit")),
    ("/documents/async/tasks/x", ("offset", "limit")),
]

GOOD: dict[str, dict[str, Any]] = {
    "/api/documents": {"urls": ["https://example.org/a"]},
    "/api/index/index-documents": {"doc_ids": [1]},
    "/api/search": {"query": "mill", "mode": "keyword"},
    "/api/tasks": {"kind": "ping"},
    "/api/tasks/priority": {"priority": 3, "all": True},
    "/documents/async/process": {"source": "https://example.org/a"},
}


def check_answer(answer: Any, status: int) -> None:
    """Not a defect, and if refused, a whole problem."""
    assert status < 500, answer
    if status >= 400:
        assert set(answer) >= PROBLEM
        assert answer["success"] is False
        assert answer["status"] == status
        assert not re.search(r"\{[a-z_]+\}", answer["message"]), "a fact is missing"


@pytest.mark.parametrize(("method", "path", "fields"), BODIES, ids=[path for _, path, _ in BODIES])
def test_no_value_of_any_field_is_answered_with_a_defect(
    used: Service, method: str, path: str, fields: tuple[str, ...]
) -> None:
    for field in (*fields, "no_such_field"):
        for value in VALUES:
            body = json.dumps({**GOOD.get(path, {}), field: value})

            response = used.call(method, path, data=body, headers=JSON)

            check_answer(response.json(), response.status_code)


@pytest.mark.parametrize(("path", "fields"), QUERIES, ids=[path for path, _ in QUERIES])
def test_no_value_of_any_parameter_is_answered_with_a_defect(used: Service, path: str, fields: tuple[str, ...]) -> None:
    values = [
        "",
        "-1",
        "0",
        "1.5",
        "9" * 5000,
        str(2**63),
        "x",
        "\x00",
        "%",
        "a,b,,c",
        "2026-01-01",
        "\ud7ff磨",
        "T" * 9000,
    ]
    for field in (*fields, "no_such_field"):
        for value in values:
            response = used.get(path, params={field: value})

            check_answer(response.json(), response.status_code)


@pytest.mark.parametrize(
    "document_id", ["0", "-1", "x", "1.5", str(2**63), "9" * 400, "1%00", "%F0%28", "%ED%A0%80", "1e3"]
)
def test_document_id_that_cannot_be_one_is_refused(used: Service, document_id: str) -> None:
    for method in ("GET", "DELETE"):
        response = used.call(method, f"/api/documents/{document_id}")

        assert response.status_code in (404, 422)
        check_answer(response.json(), response.status_code)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "field_missing"),
        (b"{", "body_not_json"),
        (b"\xff\xfe\x00", "body_not_json"),
        (b'{"kind": "\xe6\xe7"}', "body_not_json"),
        (b'{"kind": NaN}', "body_not_json"),
        (b'{"kind": "ping", "payload": {"seconds": Infinity}}', "body_not_json"),
        (b'{"kind": "ping", "payload": {"seconds": 1e999}}', "number_too_large"),
        (b'{"kind": "ping", "payload": {"note": "\\ud800"}}', "text_not_unicode"),
        (b'{"kind": "ping", "payload": {"seconds": 99999999999999999999999}}', "number_too_large"),
        (b"[" * 100_000, "body_not_json"),
        (b"[1]", "field_not_object"),
        (b'"text"', "field_not_object"),
        (b"null", "field_not_object"),
    ],
)
def test_body_that_is_not_proper_json_is_refused(used: Service, body: bytes, code: str) -> None:
    before = used.app.tasks.counts()

    response = used.post("/api/tasks", data=body, headers=JSON)

    check_answer(response.json(), response.status_code)
    assert response.json()["code"] == code
    assert used.app.tasks.counts() == before


@pytest.mark.parametrize("path", ["/api/documents", "/documents/async/process"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b"1"])
def test_body_of_an_endpoint_that_takes_forms_too_is_refused_alike(used: Service, path: str, body: bytes) -> None:
    response = used.post(path, data=body, headers=JSON)

    assert response.status_code in (400, 422)
    check_answer(response.json(), response.status_code)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("text/plain", 415), ("application/xml", 415), ("", 415), ("application/json; charset=utf-8", 202)],
)
def test_content_type_must_be_one_we_read(used: Service, content_type: str, status: int) -> None:
    for path, body in (("/api/tasks", {"kind": "ping"}), ("/documents/async/process", {"source": "http://a.example/"})):
        response = used.post(path, data=json.dumps(body), headers={"Content-Type": content_type})

        assert response.status_code == status
        check_answer(response.json(), response.status_code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b--\r\n",
        b"--b\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; filename="x"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="\xff"; filename="\xfe"\r\n\r\nx\r\n--b--\r\n',
        b'--other\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--other--\r\n',
    ],
)
@pytest.mark.parametrize("path", ["/api/documents", "/documents/async/upload", "/documents/async/process"])
def test_broken_form_is_refused(used: Service, path: str, body: bytes) -> None:
    for content_type in ("multipart/form-data; boundary=b", "multipart/form-data", "multipart/form-data; boundary="):
        response = used.post(path, data=body, headers={"Content-Type": content_type})

        check_answer(response.json(), response.status_code)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # The parser leaves its file to Python.
def test_form_that_is_cut_off_has_no_file(used: Service) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncut off'

    for path in ("/api/documents", "/documents/async/upload"):
        response = used.post(path, data=body, headers={"Content-Type": "multipart/form-data; boundary=b"})

        assert response.json()["code"] == "file_missing"
    gc.collect()


def test_form_without_a_file_is_told_apart_from_text_in_its_place(used: Service) -> None:
    nothing = used.post("/api/documents", files={"collection": (None, "c")})
    text = used.post("/documents/async/upload", data={"file": "/etc/passwd"})

    assert nothing.json()["code"] == "file_missing"
    assert text.json()["code"] == "not_a_file"


def test_more_files_than_allowed_are_refused_together(api: Service) -> None:
    for count in (6, 7, 20):
        files = [("f", (f"{number}.txt", b"x")) for number in range(count)]
        response = api.post("/api/documents", files=files)

        assert response.status_code == 413
        assert response.json()["code"] == "too_many_files"
    assert api.data(api.get("/api/documents"))["total"] == 0


def test_json_body_beyond_the_limit_is_refused(used: Service) -> None:
    body = b'{"kind": "' + b"x" * (17 * 1024 * 1024) + b'"}'

    response = used.post("/api/tasks", data=body, headers=JSON)

    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"


def test_body_that_does_not_say_its_length_is_refused_at_the_limit(used: Service) -> None:
    chunks = (b"x" * 1024 * 1024 for _ in range(20))

    response = used.post("/api/tasks", data=chunks, headers=JSON)

    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"


def test_announced_length_beyond_the_limit_is_refused_before_it_is_sent(used: Service) -> None:
    host, port = used.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /api/documents HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 99999999999999\r\n\r\n"
        )

        answer = connection.recv(65536)

    assert b"413" in answer.partition(b"\r\n")[0]
    assert b"body_too_large" in answer


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "é"])
def test_idempotency_key_that_cannot_be_one_is_refused(used: Service, key: str) -> None:
    response = used.post("/api/tasks", json={"kind": "ping"}, headers={"Idempotency-Key": key.encode("latin-1")})

    if key.strip():
        assert response.status_code == 422
        assert response.json()["code"] == "idempotency_key_invalid"
    else:
        check_answer(response.json(), response.status_code)


def test_every_fault_of_a_request_is_listed(used: Service) -> None:
    response = used.post("/api/search", json={"query": 5, "limit": -1, "mode": "magic"})

    problem = response.json()
    assert {(fault["field"], fault["code"]) for fault in problem["errors"]} == {
        ("query", "field_not_text"),
        ("limit", "field_out_of_range"),
        ("mode", "field_not_a_choice"),
    }
    assert all(fault["message"] for fault in problem["errors"])


def test_unknown_address_and_wrong_method_are_problems_too(used: Service) -> None:
    missing = used.get("/api/nothing/here")
    method = used.put("/api/tasks", json={})

    assert (missing.status_code, missing.json()["code"]) == (404, "route_unknown")
    assert (method.status_code, method.json()["code"]) == (405, "method_not_allowed")
    assert method.headers["Allow"] == "GET, POST"
    for response in (missing, method):
        assert response.headers["Content-Type"] == "application/problem+json"


def test_refusal_speaks_the_language_of_the_client(used: Service) -> None:
    def message(languages: str) -> str:
        response = used.get("/api/documents/7", headers={"Accept-Language": languages})
        assert response.headers["Content-Language"] == ("zh" if languages.startswith("zh") else "en")
        return str(response.json()["message"])

    assert message("zh-CN,zh;q=0.9,en;q=0.8").startswith("没有编号为 7 的文档")
    assert message("en-GB,zh;q=0.5").startswith("There is no document 7")
    assert message("fr").startswith("There is no document 7")


def test_defect_of_ours_shows_a_number_for_the_log_and_nothing_else(
    api: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError("secret of /home/mill")

    monkeypatch.setattr(type(api.app.index), "collections", broken)

    response = api.get("/api/collections")

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert response.json()["log_id"] in response.json()["message"]
    assert "secret" not in response.text
    assert "Traceback" not in response.text
