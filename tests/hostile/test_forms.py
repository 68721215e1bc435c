"""Forms that no browser sends."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from gristmill.messages import CATALOGUE
from tests.support.service import Service, serving

FORM = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("data"), {"sources": {"max_files_per_request": 50}}) as service:
        yield service


def part(disposition: bytes, body: bytes = b"rye", *, more: bytes = b"") -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + disposition + b"\r\n" + more + b"\r\n" + body + b"\r\n"


def sent(api: Service, *parts: bytes, form: str = FORM) -> requests.Response:
    return api.post("/api/documents", data=b"".join(parts) + b"--b--\r\n", headers={"Content-Type": form})


def check_refusal(response: requests.Response) -> Any:
    """A whole problem, and no defect of ours."""
    problem = response.json()
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["code"] in CATALOGUE
    return problem


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b"name=\"f\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.txt", "报告.txt"),
        (b"name=\"f\"; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        (b'name="f"; filename="a%0d%0aX-Evil: 1.txt"', "a%0d%0aX-Evil: 1.txt"),
        (b'name="f"; filename="..\\\\..\\\\evil.txt"', "evil.txt"),
        (b'name="f"; filename="a\x00b.txt"', "ab.txt"),
        ('name="f"; filename="a\u202etxt.exe"'.encode(), "atxt.exe"),
        (b'name="f"; filename="' + b"x" * 3000 + b'.txt"', "x" * 251 + ".txt"),
        (b'name="f"; filename="\xff\xfe.txt"', None),
        (b'name="f"; filename="."', "upload"),
        (b'name="f"; filename=".."', "upload"),
        (b'name="f"; filename="/"', "upload"),
    ],
)
def test_name_of_an_upload_is_a_plain_name(api: Service, disposition: bytes, name: str | None) -> None:
    response = sent(api, part(disposition))

    if response.status_code >= 400:
        check_refusal(response)
        return
    (document,) = api.data(response)["documents"]
    assert document["name"].isprintable()
    assert not {"/", "\\"} & set(document["name"])
    assert document["name"] not in {"", ".", ".."}
    assert name in (None, document["name"])
    assert "X-Evil" not in response.headers


@pytest.mark.parametrize(
    "body",
    [
        [part(b'name="f"; filename="a.txt"')] * 51,
        [part(b'name="x%d"' % number) for number in range(2000)],
        [part(b'name="f"; filename="a.txt"', more=b"X-Long: " + b"x" * (1 << 20) + b"\r\n")],
        [part(b'name="f"; filename="a.txt"', more=b"X: y\r\n" * 10_000)],
        [part(b"name=\"f\"; filename*=UTF-8''%")],
        [part(b"name=\"f\"; filename*=nonsense''a.txt")],
        [part(b'name="f"; filename="a.txt', b"no closing quote")],
        [part(b'name="collection"', b"x" * (2 << 20)), part(b'name="f"; filename="a.txt"')],
        [part(b'name="collection"', b"a/b"), part(b'name="f"; filename="a.txt"')],
        [part(b'name="collection"', b"\xff\xfe"), part(b'name="f"; filename="a.txt"')],
        [part(b'name="f"; filename="a.txt"', more=b"Content-Transfer-Encoding: base64\r\n")],
        [part(b'name="f"; filename="a.txt"', more=b"Content-Type: text/plain; charset=\xff\x00\r\n")],
        [part(b"\xff\xfe")],
        [b"--b\r\nno header\r\n\r\nx\r\n"],
        [b"x" * 100_000],
        [],
    ],
    ids=range(16),
)
def test_odd_form_is_taken_or_refused_with_a_reason(api: Service, body: list[bytes]) -> None:
    response = sent(api, *body)

    if response.status_code >= 400:
        check_refusal(response)
    else:
        assert all(document["name"] for document in api.data(response)["documents"])


@pytest.mark.parametrize("form", ["multipart/form-data", "multipart/form-data; boundary=", FORM + "; boundary=c"])
def test_boundary_must_be_there(api: Service, form: str) -> None:
    response = sent(api, part(b'name="f"; filename="a.txt"'), form=form)

    if response.status_code >= 400:
        check_refusal(response)
    else:
        assert form.endswith("c")


def test_boundary_of_any_length_is_no_defect(api: Service) -> None:
    response = sent(api, part(b'name="f"; filename="a.txt"'), form="multipart/form-data; boundary=" + "b" * 5000)

    check_refusal(response)
