"""Documents from the web: only public hosts, checked at every step, within all limits."""

import gzip
import hashlib
import ssl
import threading
import time
import zlib
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gristmill.errors import Forbidden, InvalidInput, LimitExceeded, StepFailed, Unavailable
from gristmill.steps.fetch.naming import name_of
from gristmill.steps.fetch.urls import fetch_url
from gristmill.steps.model import Fetched
from tests.material.certificates import certified
from tests.material.web import Answer, Site, page, serve
from tests.material.words import ENGLISH

BODY = ENGLISH.encode()


def in_turn(*answers: Answer) -> Answer:
    """Each request has the next of ``answers``."""
    waiting = iter(answers)

    def answer(request: BaseHTTPRequestHandler) -> None:
        next(waiting)(request)

    return answer


def fetched_from(site: Site, path: str, into: Path, *, max_bytes: int = 1_000_000, seconds: float = 10) -> Fetched:
    return fetch_url(site.url(path), into=into, max_bytes=max_bytes, timeout_seconds=seconds, allowed_hosts=[site.host])


def saved(fetched: Fetched) -> bytes:
    assert fetched.path is not None
    return fetched.path.read_bytes()


def test_fetch_url_saves_the_document(tmp_path: Path) -> None:
    with serve({"/files/report.txt": page(BODY, Content_Type="text/plain; charset=utf-8")}) as site:
        fetched = fetched_from(site, "/files/report.txt?version=2#part", tmp_path)

    assert fetched.name == "report.txt"
    assert saved(fetched) == BODY
    assert fetched.size == len(BODY)
    assert fetched.content_hash == hashlib.sha256(BODY).hexdigest()
    assert fetched.declared_type == "text/plain; charset=utf-8"
    assert [request["path"] for request in site.seen] == ["/files/report.txt?version=2"]
    assert site.seen[0]["host"] == site.host


@pytest.mark.parametrize(
    ("coding", "packed"),
    [("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY)), ("identity", BODY)],
    ids=["gzip", "deflate", "identity"],
)
def test_fetch_url_unpacks(tmp_path: Path, coding: str, packed: bytes) -> None:
    with serve({"/a.txt": page(packed, Content_Encoding=coding)}) as site:
        fetched = fetched_from(site, "/a.txt", tmp_path)

    assert saved(fetched) == BODY


def test_fetch_url_counts_bytes_after_unpacking(tmp_path: Path) -> None:
    bomb = gzip.compress(b"a" * 50_000_000)

    with serve({"/a.txt": page(bomb, Content_Encoding="gzip")}) as site, pytest.raises(LimitExceeded) as caught:
        fetched_from(site, "/a.txt", tmp_path, max_bytes=1_000_000)

    assert caught.value.code == "source_too_large"
    assert list(tmp_path.iterdir()) == []


def test_fetch_url_refuses_a_large_document_before_reading_it(tmp_path: Path) -> None:
    with serve({"/a.txt": page(BODY, Content_Length="999999999")}) as site, pytest.raises(LimitExceeded) as caught:
        fetched_from(site, "/a.txt", tmp_path)

    assert caught.value.code == "source_too_large"


def test_fetch_url_follows_redirects_and_names_the_last(tmp_path: Path) -> None:
    hops = {f"/{n}": page(b"", status=302, Location=f"/{n + 1}") for n in range(4)}
    hops["/4"] = page(b"", status=308, Location="end.txt")

    with serve({**hops, "/end.txt": page(BODY)}) as site:
        fetched = fetched_from(site, "/0", tmp_path)

    assert fetched.name == "end.txt"
    assert len(site.seen) == 6


def test_fetch_url_gives_up_after_five_redirects(tmp_path: Path) -> None:
    with serve({"/loop": page(b"", status=302, Location="/loop")}) as site, pytest.raises(StepFailed) as caught:
        fetched_from(site, "/loop", tmp_path)

    assert caught.value.code == "url_redirects_too_often"
    assert len(site.seen) == 6


def test_fetch_url_checks_the_host_of_every_redirect(tmp_path: Path) -> None:
    with serve({"/secret": page(b"secret")}) as inner:
        hop = page(b"", status=302, Location=inner.url("/secret"))
        with serve({"/go": hop}) as site, pytest.raises(Forbidden) as caught:
            fetched_from(site, "/go", tmp_path)

    assert caught.value.code == "address_not_public"
    assert inner.seen == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a/b", "http://user:pw@a/", "http://["])
def test_fetch_url_does_not_follow_a_redirect_to_something_else(tmp_path: Path, location: str) -> None:
    with serve({"/go": page(b"", status=302, Location=location)}) as site, pytest.raises(StepFailed) as caught:
        fetched_from(site, "/go", tmp_path)

    assert caught.value.code == "url_redirects_nowhere"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "0", "[::1]", "[::ffff:127.0.0.1]", "[::]"],
)
def test_fetch_url_refuses_loopback_however_it_is_written(tmp_path: Path, host: str) -> None:
    with serve({"/": page(BODY)}) as site, pytest.raises((Forbidden, Unavailable)):
        fetch_url(f"http://{host}:{site.port}/", into=tmp_path, max_bytes=1000, timeout_seconds=10)

    assert site.seen == []


def test_fetch_url_refuses_a_name_when_one_of_its_addresses_is_private(tmp_path: Path) -> None:
    def ask(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.216.34", "127.0.0.1"]

    with pytest.raises(Forbidden) as caught:
        fetch_url("http://mill.test/", into=tmp_path, max_bytes=1000, timeout_seconds=5, ask=ask)

    assert caught.value.facts == {"host": "mill.test"}


def test_fetch_url_asks_for_a_name_once_and_connects_to_that_answer(tmp_path: Path) -> None:
    answers = iter([["127.0.0.1"], ["203.0.113.1"]])

    with serve({"/a.txt": page(BODY)}) as site:
        fetched = fetch_url(
            f"http://mill.test:{site.port}/a.txt",
            into=tmp_path,
            max_bytes=1000,
            timeout_seconds=5,
            allowed_hosts=["mill.test"],
            ask=lambda _host, _port: next(answers),
        )

    assert saved(fetched) == BODY
    assert site.seen[0]["host"] == f"mill.test:{site.port}"
    assert next(answers) == ["203.0.113.1"]


def test_fetch_url_may_be_allowed_private_hosts(tmp_path: Path) -> None:
    with serve({"/a.txt": page(BODY)}) as site:
        fetched = fetch_url(site.url("/a.txt"), into=tmp_path, max_bytes=1000, timeout_seconds=5, allow_private=True)

    assert fetched.size == len(BODY)


def test_fetch_url_uses_no_proxy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve({}) as proxy, serve({"/a.txt": page(BODY)}) as site:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))

        fetched_from(site, "/a.txt", tmp_path)

    assert proxy.seen == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.org/a", "url_scheme_unsupported"),
        ("file:///etc/passwd", "url_scheme_unsupported"),
        ("example.org/a", "url_scheme_unsupported"),
        ("", "url_scheme_unsupported"),
        ("http://user:secret@example.org/", "url_with_credentials"),
        ("http://:@example.org/", "url_with_credentials"),
        ("http:///a", "url_invalid"),
        ("http://exa mple.org/", "url_invalid"),
        ("http://example.org:99999/", "url_invalid"),
        ("http://a/\0", "url_invalid"),
        ("http://a/" + "x" * 5000, "url_invalid"),
    ],
)
def test_fetch_url_refuses_what_is_no_usable_url(tmp_path: Path, url: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        fetch_url(url, into=tmp_path, max_bytes=1000, timeout_seconds=5)

    assert caught.value.code == code
    assert "secret" not in caught.value.message()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, StepFailed),
        (403, StepFailed),
        (304, StepFailed),
        (429, Unavailable),
        (408, Unavailable),
        (503, Unavailable),
    ],
)
def test_fetch_url_knows_which_answers_may_change(tmp_path: Path, status: int, error: type[Exception]) -> None:
    with serve({"/a": page(b"", status=status)}) as site, pytest.raises(error) as caught:
        fetched_from(site, "/a", tmp_path)

    assert caught.value.args[1] == {"host": "127.0.0.1", "status": status}


def test_fetch_url_tries_again_later_when_nobody_listens(tmp_path: Path) -> None:
    with serve({}) as site:
        pass

    with pytest.raises(Unavailable) as caught:
        fetched_from(site, "/a", tmp_path)

    assert caught.value.code == "url_unreachable"


@pytest.mark.parametrize(
    "answer",
    [page(BODY, Content_Length="1000"), page(gzip.compress(BODY)[:-12], Content_Encoding="gzip")],
    ids=["plain", "gzip"],
)
def test_fetch_url_gives_up_when_half_a_document_is_all_there_ever_is(tmp_path: Path, answer: Answer) -> None:
    with serve({"/a": answer}) as site, pytest.raises(StepFailed) as caught:
        fetched_from(site, "/a", tmp_path)

    assert caught.value.code == "url_answer_incomplete"
    assert len(site.seen) == 2
    assert list(tmp_path.iterdir()) == []


def test_fetch_url_tries_again_at_once_when_a_document_breaks_off(tmp_path: Path) -> None:
    breaking = in_turn(page(BODY, Content_Length="1000"), page(BODY))

    with serve({"/a": breaking}) as site:
        fetched = fetched_from(site, "/a", tmp_path)

    assert saved(fetched) == BODY
    assert list(tmp_path.iterdir()) == [fetched.path]


def test_fetch_url_tries_again_later_when_a_document_breaks_off_here_and_there(tmp_path: Path) -> None:
    breaking = in_turn(page(BODY[:9], Content_Length="1000"), page(BODY[:5], Content_Length="1000"))

    with serve({"/a": breaking}) as site, pytest.raises(Unavailable) as caught:
        fetched_from(site, "/a", tmp_path)

    assert caught.value.code == "url_unreachable"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "header", [b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: -1", b"no header", b"\0: \1"]
)
def test_fetch_url_gives_up_at_once_on_what_is_no_answer(tmp_path: Path, header: bytes) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\nsix by")

    with serve({"/a": answer}) as site, pytest.raises(StepFailed) as caught:
        fetched_from(site, "/a", tmp_path)

    assert caught.value.code == "url_answer_malformed"
    assert len(site.seen) == 1


def test_fetch_url_tries_again_later_when_the_server_only_hangs_up(tmp_path: Path) -> None:
    with serve({"/a": lambda _request: None}) as site, pytest.raises(Unavailable) as caught:
        fetched_from(site, "/a", tmp_path)

    assert caught.value.code == "url_unreachable"


@pytest.mark.parametrize("where", ["head", "body"])
def test_fetch_url_ends_at_its_deadline_however_slowly_bytes_drip(tmp_path: Path, where: str) -> None:
    stop = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        if where == "body":
            request.send_response(200)
            request.send_header("Content-Length", "100000")
            request.end_headers()
        while not stop.wait(0.05):
            request.wfile.write(b"H")

    began = time.monotonic()
    with serve({"/a": drip}) as site:
        try:
            with pytest.raises(LimitExceeded) as caught:
                fetched_from(site, "/a", tmp_path, seconds=0.5)
        finally:
            stop.set()

    assert caught.value.code == "source_too_slow"
    assert time.monotonic() - began < 3
    assert list(tmp_path.iterdir()) == []


def test_fetch_url_ends_at_its_deadline_when_names_are_not_answered(tmp_path: Path) -> None:
    stop = threading.Event()

    def ask(_host: str, _port: int) -> Sequence[str]:
        stop.wait(20)
        return []

    try:
        with pytest.raises(LimitExceeded):
            fetch_url("http://mill.test/", into=tmp_path, max_bytes=1000, timeout_seconds=0.2, ask=ask)
    finally:
        stop.set()


def test_fetch_url_says_that_a_host_is_unknown(tmp_path: Path) -> None:
    def ask(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    with pytest.raises(Unavailable) as caught:
        fetch_url("http://mill.test/", into=tmp_path, max_bytes=1000, timeout_seconds=5, ask=ask)

    assert caught.value.code == "host_not_found"


def test_fetch_url_verifies_the_certificate_for_the_name_and_not_the_address(tmp_path: Path) -> None:
    server, authority = certified("mill.test", tmp_path)
    trust = ssl.create_default_context(cafile=authority)
    into = tmp_path / "into"

    with serve({"/a.txt": page(BODY)}, tls=server) as site:

        def fetch(host: str, tls: ssl.SSLContext | None) -> Fetched:
            return fetch_url(
                f"https://{host}:{site.port}/a.txt",
                into=into,
                max_bytes=1000,
                timeout_seconds=5,
                allow_private=True,
                ask=lambda _host, _port: ["127.0.0.1"],
                tls=tls,
            )

        assert saved(fetch("mill.test", trust)) == BODY
        for host, tls in (("other.test", trust), ("mill.test", None), ("127.0.0.1", trust)):
            with pytest.raises(StepFailed) as caught:
                fetch(host, tls)
            assert caught.value.code == "url_certificate_invalid"


@pytest.mark.parametrize(
    ("disposition", "path", "content_type", "name"),
    [
        ('attachment; filename="report.pdf"', "/x", None, "report.pdf"),
        ("attachment; filename*=UTF-8''%E6%8A%A5%E5%91%8A.pdf", "/x", None, "报告.pdf"),
        ('attachment; filename="报告.pdf"', "/x", None, "报告.pdf"),
        ('attachment; filename="../../etc/passwd"', "/x", None, "passwd"),
        ('attachment; filename="..\\\\..\\\\evil.txt"', "/x", None, "evil.txt"),
        ('attachment; filename=".."', "/a.txt", None, "a.txt"),
        ('attachment; filename=".htaccess"', "/x", None, "htaccess"),
        ('attachment; filename="a\u202etxt.exe"', "/x", None, "atxt.exe"),
        (None, "/%E6%8A%A5%E5%91%8A.txt", None, "报告.txt"),
        (None, "/a%2f..%2fb.txt", None, "b.txt"),
        (None, "/page", "text/html; charset=utf-8", "page.html"),
        (None, "/v1.2", "text/html", "v1.2.html"),
        (None, "/", "text/html", "mill.test.html"),
        (None, "/report.pdf", "application/octet-stream", "report.pdf"),
        (None, "/" + "x" * 300 + ".txt", None, "x" * 196 + ".txt"),
    ],
)
def test_name_comes_from_the_answer_and_is_only_a_name(
    disposition: str | None, path: str, content_type: str | None, name: str
) -> None:
    assert name_of(disposition=disposition, path=path, host="mill.test", content_type=content_type) == name
