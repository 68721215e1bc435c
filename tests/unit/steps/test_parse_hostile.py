"""Files that are broken, locked, lying or made to hurt cost one item, never more."""

import time
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.errors import GristmillError, LimitExceeded, StepFailed
from gristmill.messages import CATALOGUE, LANGUAGES, render
from gristmill.steps.formats import BY_SUFFIX
from gristmill.steps.parse import ParseLimits
from gristmill.steps.parse.clean import clean
from tests.material import archives, office, pdf, texts
from tests.material.parsing import notice_codes, parse_bytes
from tests.material.words import CHINESE, ENGLISH, ENGLISH_TITLE

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("locked.pdf", pdf.encrypted_pdf([ENGLISH]), "document_encrypted"),
        ("locked.docx", OLE + "EncryptedPackage".encode("utf-16-le"), "document_encrypted"),
        ("old.doc", OLE, "format_unsupported"),
        ("half.pdf", pdf.pdf([ENGLISH])[:700], "document_damaged"),
        ("half.docx", office.docx_file("T", ENGLISH)[:9000], "document_damaged"),
        ("words.docx", b"these are only words", "document_damaged"),
        ("words.pdf", b"these are only words", "document_damaged"),
        ("noise.pdf", bytes(range(256)) * 4, "document_damaged"),
        ("noise", bytes(range(256)) * 4, "format_unsupported"),
        ("picture.txt", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "format_unsupported"),
        ("book.ipynb", b'{"cells": [', "document_damaged"),
        ("book.ipynb", b"[1]", "document_damaged"),
        ("half.zip", archives.zip_file({"a.txt": b"x" * 500})[:60], "document_damaged"),
        ("empty.xlsx", archives.zip_file({"[Content_Types].xml": b"<x/>", "xl/x": b""}), "document_damaged"),
    ],
)
def test_parse_refuses_for_good(name: str, data: bytes, code: str) -> None:
    with pytest.raises(StepFailed) as caught:
        parse_bytes(name, data)

    assert caught.value.code == code
    assert not caught.value.transient


def test_parse_reads_a_pdf_that_is_called_txt_and_says_so() -> None:
    document = parse_bytes("report.txt", pdf.pdf([ENGLISH_TITLE, ENGLISH]))

    assert ENGLISH in document.text
    assert document.media_type == "application/pdf"
    assert notice_codes(document) == ["mislabelled"]


def test_parse_reads_a_page_that_was_saved_as_pdf_and_says_so() -> None:
    document = parse_bytes("report.pdf", texts.html_page("Not found", ENGLISH).encode())

    assert document.title == "Not found"
    assert notice_codes(document) == ["mislabelled"]


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.pdf", b"", "file_empty"),
        ("blank.txt", b" \n\t\n", "no_text_found"),
        ("scan.pdf", pdf.scanned_pdf(), "scanned_without_text"),
        ("blank.docx", office.docx_file(""), "no_text_found"),
        ("blank.html", b"<html><script>x</script></html>", "no_text_found"),
        ("blank.zip", archives.zip_file({}), "no_text_found"),
    ],
)
def test_parse_says_why_there_is_no_text(name: str, data: bytes, code: str) -> None:
    document = parse_bytes(name, data)

    assert document.text == ""
    assert notice_codes(document) == [code]


def test_parse_cuts_a_text_that_is_too_long_and_says_so() -> None:
    data = b"# Head\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n# Later\n" + b"x" * 500

    document = parse_bytes("long.md", data, limits=ParseLimits(max_text_chars=30))

    assert len(document.text) <= 30
    assert [heading.title for heading in document.headings] == ["Head"]
    assert all(table.end <= len(document.text) for table in document.tables)
    assert notice_codes(document) == ["text_cut"]


def test_parse_does_not_expand_entities() -> None:
    laughs = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]><a x="&c;">&c;</a>'
    outside = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'

    for data in (laughs, outside):
        document = parse_bytes("a.xml", data)

        assert document.text == data.decode()
        assert notice_codes(document) == ["read_as_plain_text"]


def test_parse_refuses_an_office_file_that_unpacks_to_too_much() -> None:
    names = {"[Content_Types].xml": b"<x/>", "word/document.xml": b"<a>" + b"a" * (110 << 20)}

    with pytest.raises(LimitExceeded) as caught:
        parse_bytes("bomb.docx", archives.zip_file(names))

    assert caught.value.code == "file_too_large_for_format"


def test_parse_gives_up_on_an_extraction_that_takes_too_long() -> None:
    data = pdf.pdf(*[[f"Title {n}"] + [ENGLISH] * 40 for n in range(1200)])

    with pytest.raises(LimitExceeded) as caught:
        parse_bytes("long.pdf", data, limits=ParseLimits(timeout_seconds=1))

    assert caught.value.code == "parse_too_slow"


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 100_000 + "rye" + "</div>" * 100_000,
        "<ul><li>" * 50_000 + "rye",
        "<table><tr><td>" * 50_000 + "rye",
        "rye" + "<!--" * 100_000,
        "rye" + "<script>" * 100_000,
        "rye" + "<a " * 100_000,
        "rye" + "<nav" * 100_000 + ">",
        "rye" + "&" * 100_000,
    ],
    ids=["div", "list", "table", "comment", "script", "tag", "nav", "entity"],
)
def test_parse_reads_hostile_html_in_linear_time(page: str) -> None:
    began = time.process_time()

    document = parse_bytes("page.html", page.encode())

    assert "rye" in document.text
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("deep.json", b"[" * 100_000),
        ("deep.xml", b"<a>" * 100_000 + b"rye"),
        ("digits.json", b"[" + b"9" * 10_000 + b"]"),
        ("quote.csv", b'a,b\n"' + b"x" * 200_000),
        ("wide.csv", b"," * 5_000 + b"\n1,2\n"),
        ("page.eml", b"Subject: =?utf-8?q?" + b"=" * 1000 + b"\nContent-Type: multipart/mixed\n\nrye"),
        ("book.md", b"`" * 100_000 + b"\n" + b"#" * 100_000 + b"\n" + b"=" * 100_000),
        ("film.srt", b"00:00:01,000 --> " * 20_000),
        ("film.srt", b"00:00:01,000 --> 00:00:02,000\n" + b"\n" * 100_000 + b"x\n00:00:03,000 --> 00:00:04,000\nrye"),
        ("book.md", b"# Rye" + b" " * 100_000 + b"x"),
        ("book.md", b"---\ntitle: " + b" " * 100_000 + b"x\n---\nrye"),
        ("page.eml", b"Subject: x\nFrom: " + b"a " * 50_000 + b"\n\nrye"),
        ("page.eml", b"Subject: x\nFrom: " + b"(" * 50_000 + b"\n\nrye"),
        ("ragged.csv", b",".join([b"a"] * 990) + b"\n" + b"1\n" * 50_000),
        ("head.csv", b",".join([b"rye" * 50] * 500) + b"\n" + (b"," * 499 + b"x\n") * 500),
        ("page", b"<!---->" * 140 + b"rye"),
    ],
)
def test_parse_survives_odd_text(name: str, data: bytes) -> None:
    began = time.process_time()

    document = parse_bytes(name, data)

    assert document.text
    assert len(document.text) < 10 * len(data) + 1000
    assert time.process_time() - began < 5


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "gb18030", "utf-8-sig"])
def test_parse_decodes_only_what_is_kept_of_a_long_text(encoding: str) -> None:
    text = (CHINESE + "\r\n") * 60_000

    document = parse_bytes("long.txt", text.encode(encoding), limits=ParseLimits(max_text_chars=1_200_000))

    (notice,) = document.notices
    assert (notice.code, notice.facts["total"]) == ("text_cut", len(text))
    assert document.text == text[:1_200_000].replace("\r\n", "\n").strip()


def test_parse_lists_only_so_many_notices() -> None:
    document = parse_bytes("many.zip", archives.zip_file({f"{number}.txt": b"" for number in range(300)}))

    assert notice_codes(document) == ["file_empty"] * 100 + ["notices_cut"]
    assert document.notices[-1].facts["left"] == 200


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    start=st.sampled_from([b"", b"%PDF-1.7\n", b"PK\x03\x04", b"{\\rtf1 ", b"<html>", b"{", b"\xff\xfe", b"From: a\n"]),
    rest=st.binary(max_size=300),
    suffix=st.sampled_from(sorted({*BY_SUFFIX, "", ".bin"})),
)
def test_parse_raises_only_our_errors_on_any_bytes(start: bytes, rest: bytes, suffix: str) -> None:
    told = _told(f"file{suffix}", start + rest)

    assert all(code in CATALOGUE for code, _ in told)
    assert not any("{" in render(code, facts, language) for code, facts in told for language in LANGUAGES)


WHOLE = {
    "a.pdf": pdf.pdf([ENGLISH_TITLE, ENGLISH]),
    "a.docx": office.docx_file(ENGLISH_TITLE, ENGLISH, table=[["a", "b"], ["1", "2"]]),
    "a.pptx": office.pptx_file((ENGLISH_TITLE, ENGLISH)),
    "a.xlsx": office.xlsx_file({"S": [["a", "b"], [1, 2]]}),
    "a.odt": office.odt_file(ENGLISH_TITLE, ENGLISH),
    "a.epub": office.epub_file(ENGLISH_TITLE, ("One", ENGLISH)),
    "a.rtf": texts.rtf_file(ENGLISH),
    "a.html": texts.html_page(ENGLISH_TITLE, ENGLISH).encode(),
    "a.eml": texts.eml_file("S", ENGLISH, html=f"<p>{ENGLISH}", attachment=("a.txt", b"rye")),
    "a.ipynb": texts.notebook([("markdown", ENGLISH), ("code", "1")], output="1"),
    "a.srt": texts.srt_file(ENGLISH, ENGLISH).encode(),
    "a.zip": archives.zip_file({"a.txt": ENGLISH.encode(), "b.html": b"<p>rye"}),
    "a.xml": b'<?xml version="1.0"?><a b="c">rye<d>42</d></a>',
    "a.json": b'{"a": ["rye", 42, {"b": null}]}',
    "a.csv": b'a,b\n1,"2 ""x"""\n',
}


@settings(max_examples=400, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(WHOLE)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    end=st.floats(0, 1) | st.just(1.0),
    twice=st.booleans(),
)
def test_parse_raises_only_our_errors_on_spoiled_files(
    name: str,
    flips: list[tuple[float, int]],
    end: float,
    twice: bool,  # noqa: FBT001
) -> None:
    spoiled = bytearray(WHOLE[name])
    for place, value in flips:
        spoiled[int(place * len(spoiled))] = value
    spoiled = spoiled[: int(end * len(spoiled))] * (2 if twice else 1)

    told = _told(name, bytes(spoiled))

    assert all(code in CATALOGUE for code, _ in told)


def _told(name: str, data: bytes) -> list[tuple[str, Mapping[str, object]]]:
    """Every error or notice that parsing gave; any other exception comes through."""
    try:
        document = parse_bytes(name, data)
    except GristmillError as error:
        return [(error.code, error.facts)]
    assert document.text == clean(document.text)
    assert document.text or document.notices
    return [(notice.code, notice.facts) for notice in document.notices]
