"""One bad file in six, of every kind we know, among good ones: the good are found, the bad say why, the worker lives."""

import gzip
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gristmill.messages import CATALOGUE
from tests.hostile.watched import DEFECTS, Watched, hits, indexed, working
from tests.material.hostile import MARK, Specimen, specimens
from tests.material.web import Site, page, redirect, serve
from tests.support.service import Service, serving
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

GOOD = 300
MEMORY_MB = 600
PRIVATE = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0:{port}/",
    "http://[::]:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://[ff02::1]/",
    "http://[fec0::1]/",
    "http://[2001:db8::1]/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is left when the library has been indexed."""

    service: Service
    watched: Watched
    specimens: Mapping[int, Specimen]
    good: list[int]
    named: Mapping[str, int]
    """Document ids of what was handed in by path or address, by a name of the test's own."""
    refused: Mapping[str, str]
    """Codes of what was refused at registration."""
    worker: "subprocess.Popen[bytes]"
    inner: Site


def dripping(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    while True:
        request.wfile.write(b"x")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A library, good and bad mixed, that the real service has taken in."""
    root, outside = tmp_path_factory.mktemp("library"), tmp_path_factory.mktemp("outside")
    data = tmp_path_factory.mktemp("data")
    (outside / "secret.txt").write_text("forbiddenword", "utf-8")
    with serve({"/secret.txt": page(b"forbiddenword")}) as inner:
        pages = {
            "/inward": redirect(inner.url("/secret.txt")),
            "/metadata": redirect("http://169.254.169.254/latest/meta-data/"),
            "/file": redirect("file:///etc/passwd"),
            "/loop": redirect("/loop"),
            "/bomb.txt": page(gzip.compress(b"a" * (300 << 20), 9), Content_Encoding="gzip"),
            "/huge.txt": page(b"x", Content_Length=str(10**15)),
            "/drip.txt": dripping,
            "/short.txt": page(b"half of it", Content_Length="1000"),
            "/twice.txt": page(b"rye", Content_Length="3\r\nContent-Length: 4"),
            "/good.txt": page(f"{MARK} by wire".encode()),
        }
        with serve(pages) as site, serving(data, {"sources": {"roots": [root]}}) as service:
            limits = {
                "GRISTMILL_WORKERS__MEMORY_LIMIT_MB": str(MEMORY_MB),
                "GRISTMILL_SOURCES__MAX_TEXT_CHARS": "60000",
                "GRISTMILL_SOURCES__PARSE_TIMEOUT_SECONDS": "15",
                "GRISTMILL_SOURCES__FETCH_TIMEOUT_SECONDS": "2",
                "GRISTMILL_SOURCES__ALLOWED_HOSTS": site.host,
            }
            with working(data, limits) as worker:
                eventually(lambda: service.get("/health/ready").ok, seconds=30)
                yield _taken_in(service, worker, root, outside, site, inner)


def _taken_in(
    service: Service, worker: "subprocess.Popen[bytes]", root: Path, outside: Path, site: Site, inner: Site
) -> Ground:
    good = _good(service, root)
    bad = {_uploaded(service, specimen): specimen for specimen in specimens()}
    named, refused = _by_name(service, root, outside, site, inner)
    mixed = [doc_id for pair in zip(good, [*bad, *named.values()], strict=False) for doc_id in pair]
    ids = list(dict.fromkeys([*mixed, *good, *bad, *named.values()]))
    return Ground(
        service=service,
        watched=indexed(service, worker, ids),
        specimens=bad,
        good=good,
        named=named,
        refused=refused,
        worker=worker,
        inner=inner,
    )


def _miller(number: int) -> str:
    """A word that one good document has."""
    return "quil" + "".join(chr(ord("a") + int(digit)) for digit in f"{number:03}") + "ok"


def _good(service: Service, root: Path) -> list[int]:
    paths = []
    for number in range(GOOD):
        path = root / f"good-{number}.txt"
        path.write_text(f"Sack {number}. Its miller is {_miller(number)}. 第{number}袋黑麦。", "utf-8")
        paths.append(str(path))
    answer = service.data(service.post("/api/documents", json={"paths": paths}))
    return [document["id"] for document in answer["documents"]]


def _uploaded(service: Service, specimen: Specimen) -> int:
    part = {"files": (specimen.name, specimen.data)}
    answer = service.data(service.post("/api/documents", files=part))
    return int(answer["documents"][0]["id"])


def _by_name(
    service: Service, root: Path, outside: Path, site: Site, inner: Site
) -> tuple[dict[str, int], dict[str, str]]:
    """Hand in what is named by path or address; some of it changes once it is registered."""
    refused: dict[str, str] = {}
    named: dict[str, int] = {}

    def offer(name: str, **body: list[str]) -> None:
        response = service.post("/api/documents", json=body)
        if response.ok:
            named[name] = response.json()["data"]["documents"][0]["id"]
        else:
            refused[name] = response.json()["code"]

    (root / "out.txt").symlink_to(outside / "secret.txt")
    (root / "folder").symlink_to(outside)
    (root / "loop.txt").symlink_to(root / "loop.txt")
    os.mkfifo(root / "pipe.txt")
    for name, given in {
        "dots": f"{root}/../{outside.name}/secret.txt",
        "link": f"{root}/out.txt",
        "linked folder": f"{root}/folder/secret.txt",
        "link to itself": f"{root}/loop.txt",
        "pipe": f"{root}/pipe.txt",
        "device": "/dev/zero",
        "process": "/proc/self/environ",
        "folder": str(root),
        "nul": f"{root}/a\0.txt",
        "relative": "good-1.txt",
        "long": f"{root}/{'x' * 5000}",
    }.items():
        offer(name, paths=[given])
    for name, change in _CHANGES.items():
        path = root / f"{name}.txt"
        path.write_text("It was an honest file.", "utf-8")
        offer(name, paths=[str(path)])
        path.unlink()
        change(path, outside / "secret.txt")
    (root / "turned").mkdir()
    (root / "turned" / "secret.txt").write_text("It was an honest file.", "utf-8")
    offer("turned folder", paths=[str(root / "turned" / "secret.txt")])
    (root / "turned").rename(root / "turned-away")
    (root / "turned").symlink_to(outside)
    for url in PRIVATE:
        offer(url, urls=[url.format(port=inner.port)])
    for name in (
        "inward",
        "metadata",
        "file",
        "loop",
        "bomb.txt",
        "huge.txt",
        "drip.txt",
        "short.txt",
        "twice.txt",
        "good.txt",
    ):
        offer(f"web/{name}", urls=[site.url(f"/{name}")])
    return named, refused


def _becomes_large(path: Path, _secret: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


_CHANGES: Mapping[str, Callable[[Path, Path], None]] = {
    "becomes a link": lambda path, secret: path.symlink_to(secret),
    "becomes a pipe": lambda path, _secret: os.mkfifo(path),
    "becomes a folder": lambda path, _secret: path.mkdir(),
    "becomes nothing": lambda _path, _secret: None,
    "becomes large": _becomes_large,
}


def test_every_good_document_is_indexed_and_found(ground: Ground) -> None:
    assert {ground.watched.details[doc_id]["status"] for doc_id in ground.good} == {"completed"}

    for number in range(0, GOOD, 29):
        assert [hit["document"]["id"] for hit in hits(ground.service, _miller(number))] == [ground.good[number]]


def test_every_bad_document_says_what_is_wrong_with_it(ground: Ground) -> None:
    told = {specimen.name: ground.watched.codes(doc_id) for doc_id, specimen in ground.specimens.items()}

    assert {name: codes & DEFECTS for name, codes in told.items() if codes & DEFECTS} == {}
    unsaid = {
        s.name: (s.says, told[s.name]) for s in ground.specimens.values() if s.says and s.says not in told[s.name]
    }
    assert unsaid == {}
    assert {code for codes in told.values() for code in codes} <= set(CATALOGUE)


def test_what_can_be_read_of_a_bad_document_is_found(ground: Ground) -> None:
    found = {hit["document"]["id"] for hit in hits(ground.service, MARK)}

    missing = {s.name for doc_id, s in ground.specimens.items() if s.found and doc_id not in found}
    assert missing == set()
    assert ground.named["web/good.txt"] in found


def test_nothing_is_read_from_where_it_must_not(ground: Ground) -> None:
    errors = {name: ground.watched.codes(doc_id) for name, doc_id in ground.named.items()}
    forbidden = {url: errors.get(url) or {ground.refused[url]} for url in PRIVATE}
    forbidden |= {name: errors[f"web/{name}"] for name in ("inward", "metadata")}

    assert {name: codes for name, codes in forbidden.items() if codes != {"address_not_public"}} == {}
    assert ground.inner.seen == []
    assert hits(ground.service, "forbiddenword") == []
    assert ground.refused == {
        "dots": "path_outside_roots",
        "link": "path_outside_roots",
        "linked folder": "path_outside_roots",
        "link to itself": "path_not_readable",
        "pipe": "path_not_regular",
        "device": "path_outside_roots",
        "process": "path_outside_roots",
        "folder": "path_outside_roots",
        "nul": "path_not_absolute",
        "relative": "path_not_absolute",
        "long": "field_too_long",
    }


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("becomes a link", "path_outside_roots"),
        ("becomes a pipe", "path_not_regular"),
        ("becomes a folder", "path_not_regular"),
        ("becomes nothing", "path_not_found"),
        ("becomes large", "source_too_large"),
        ("turned folder", "path_outside_roots"),
        ("web/file", "url_redirects_nowhere"),
        ("web/loop", "url_redirects_too_often"),
        ("web/bomb.txt", "source_too_large"),
        ("web/huge.txt", "source_too_large"),
        ("web/drip.txt", "source_too_slow"),
        ("web/short.txt", "url_answer_incomplete"),
        ("web/twice.txt", "url_answer_malformed"),
    ],
)
def test_what_changed_or_cannot_be_fetched_says_so(ground: Ground, name: str, code: str) -> None:
    assert ground.watched.codes(ground.named[name]) == {code}


def test_worker_is_the_same_and_within_its_memory(ground: Ground) -> None:
    before, after = ground.watched.slots

    assert ground.worker.poll() is None
    assert after == before
    assert 0 < ground.watched.peak_mb < MEMORY_MB


def test_no_temporary_file_is_left(ground: Ground) -> None:
    temp = ground.service.app.paths.temp

    assert sorted(path.name for path in temp.rglob("*")) == []
