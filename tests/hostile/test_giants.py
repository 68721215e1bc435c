"""Files that are honest but for their size: a gigabyte in one line, and formats that are read as a whole."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.settings.model import Settings
from tests.hostile.watched import hits, indexed, working
from tests.material.hostile import MARK
from tests.support.service import Service, serving
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

GIGABYTE = 1 << 30
MB = 1 << 20
LIMITS = {"GRISTMILL_SOURCES__MAX_TEXT_CHARS": "100000", "GRISTMILL_SOURCES__MAX_STRUCTURED_MB": "1"}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Path]:
    """A gigabyte of words without a line end, gone with the test."""
    path = tmp_path / "line.txt"
    words = f"{MARK} ground rye all winter long ".encode()
    block = words * (MB // len(words))
    with path.open("wb") as file:
        while file.tell() < GIGABYTE:
            file.write(block)
    yield path
    path.unlink()


def registered(service: Service, path: Path) -> int:
    answer = service.data(service.post("/api/documents", json={"paths": [str(path)]}))
    return int(answer["documents"][0]["id"])


def test_gigabyte_of_one_line_is_refused_by_its_size(tmp_path: Path, line: Path) -> None:
    with (
        serving(tmp_path / "data", {"sources": {"roots": [tmp_path]}}) as service,
        working(tmp_path / "data") as worker,
    ):
        eventually(lambda: service.get("/health/ready").ok, seconds=30)
        doc_id = registered(service, line)

        watched = indexed(service, worker, [doc_id])

        assert watched.codes(doc_id) == {"source_too_large"}
        assert watched.slots[0] == watched.slots[1]
        assert watched.peak_mb < 400


def test_gigabyte_of_one_line_is_read_from_its_beginning_where_it_is_allowed(tmp_path: Path, line: Path) -> None:
    data = tmp_path / "data"
    allowed = {**LIMITS, "GRISTMILL_SOURCES__MAX_FILE_MB": "1100"}
    with serving(data, {"sources": {"roots": [tmp_path]}}) as service, working(data, allowed) as worker:
        eventually(lambda: service.get("/health/ready").ok, seconds=30)
        doc_id = registered(service, line)

        watched = indexed(service, worker, [doc_id])

        assert watched.codes(doc_id) == {"text_cut"}
        assert {hit["document"]["id"] for hit in hits(service, MARK)} == {doc_id}
        assert watched.slots[0] == watched.slots[1]
        assert GIGABYTE / MB < watched.peak_mb < Settings().workers.memory_limit_mb
        assert list(service.app.paths.temp.rglob("*")) == []


def test_format_that_is_read_as_a_whole_has_a_limit_of_its_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    mail = b"From: Ada\nTo: Mei\nSubject: Sacks\n\n"
    cell = {"cell_type": "markdown", "metadata": {}, "source": [MARK * 200_000]}
    book = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()
    with serving(data) as service, working(data, LIMITS) as worker:
        eventually(lambda: service.get("/health/ready").ok, seconds=30)
        files = [("files", ("large.eml", mail + b"rye " * MB)), ("files", ("large.ipynb", book))]
        files += [("files", ("small.eml", mail + MARK.encode())), ("files", ("large.json", book))]
        documents = service.data(service.post("/api/documents", files=files))["documents"]
        ids = {document["name"]: document["id"] for document in documents}

        watched = indexed(service, worker, list(ids.values()))

        assert {name: watched.codes(doc_id) for name, doc_id in ids.items()} == {
            "large.eml": {"file_too_large_for_format"},
            "large.ipynb": {"file_too_large_for_format"},
            "small.eml": set(),
            "large.json": {"text_cut"},
        }
        assert "at most 1 MB" in watched.details[ids["large.eml"]]["error"]["message"]
