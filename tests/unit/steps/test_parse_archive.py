"""Archives: each member on its own, no member able to hurt the rest."""

import io
import zipfile

import pytest

from gristmill.messages import render
from gristmill.steps.parse import ParseLimits
from tests.material import archives, pdf
from tests.material.parsing import notice_codes, parse_bytes
from tests.material.words import CHINESE, ENGLISH, ENGLISH_TITLE


def test_parse_gives_every_member_of_an_archive_its_part_and_pages() -> None:
    data = archives.zip_file({"notes/a.txt": ENGLISH.encode(), "b.pdf": pdf.pdf([ENGLISH_TITLE], [ENGLISH])})

    document = parse_bytes("bundle.zip", data)

    parts = {part.path: document.text[part.start : part.end] for part in document.parts}
    assert parts["notes/a.txt"] == ENGLISH
    assert parts["b.pdf"] == f"{ENGLISH_TITLE}\n\n{ENGLISH}"
    assert [(page.number, document.text[page.start : page.end]) for page in document.pages] == [
        (1, ENGLISH_TITLE),
        (2, ENGLISH),
    ]


def test_parse_reports_a_bad_member_and_reads_the_rest() -> None:
    data = archives.zip_file({"a.txt": ENGLISH.encode(), "bad.pdf": b"%PDF-1.4 nothing", "c.txt": CHINESE.encode()})

    document = parse_bytes("bundle.zip", data)

    assert document.text == f"{ENGLISH}\n\n{CHINESE}"
    [notice] = document.notices
    assert (notice.code, notice.facts["member"]) == ("document_damaged", "bad.pdf")
    assert "bundle.zip/bad.pdf" in render(notice.code, notice.facts, "zh")


def test_parse_does_not_follow_an_archive_in_an_archive() -> None:
    data = archives.zip_file({"in.zip": archives.zip_file({"a.txt": b"x"}), "b.txt": ENGLISH.encode()})

    document = parse_bytes("bundle.zip", data)

    assert document.text == ENGLISH
    assert notice_codes(document) == ["archive_nested"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (archives.zip_bomb(64), "archive_member_expands_too_much"),
        (archives.lying_zip("a.txt", b"a" * 5000, claimed=10), "document_damaged"),
        (archives.encrypted_zip("a.txt", b"secret"), "document_encrypted"),
    ],
    ids=["bomb", "lying", "encrypted"],
)
def test_parse_leaves_out_a_member_that_cannot_be_trusted(data: bytes, code: str) -> None:
    document = parse_bytes("bundle.zip", data)

    assert document.text == ""
    assert notice_codes(document) == [code]


def test_parse_stops_at_the_budget_when_members_share_the_same_bytes() -> None:
    data = archives.overlapping_zip("a.txt", b"ab" * 50_000, copies=40)

    document = parse_bytes("bundle.zip", data, limits=ParseLimits(max_archive_bytes=500_000))

    assert document.metadata == {"members": 40, "members_read": 5}
    assert notice_codes(document) == ["archive_cut"]
    assert document.notices[0].facts["left"] == 35


def test_parse_stops_at_the_budget_when_many_members_are_too_large() -> None:
    data = archives.zip_file({f"{n}.txt": b"a" * (3 << 20) for n in range(10)})

    document = parse_bytes("bundle.zip", data, limits=ParseLimits(max_archive_bytes=4 << 20, max_member_ratio=2))

    assert notice_codes(document)[0] == "archive_cut"
    assert len(document.notices) < 10


def test_parse_reads_no_more_members_than_allowed() -> None:
    data = archives.zip_file({f"{n}.txt": b"x" for n in range(10)})

    document = parse_bytes("bundle.zip", data, limits=ParseLimits(max_archive_members=4))

    assert [part.path for part in document.parts] == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert [notice.facts["left"] for notice in document.notices] == [6]


def test_parse_shows_member_names_that_were_packed_in_gbk() -> None:
    packed = archives.zip_file({"AAAA.txt": b"x"}).replace(b"AAAA", "粮食".encode("gbk"))

    document = parse_bytes("bundle.zip", packed)

    assert [part.path for part in document.parts] == ["粮食.txt"]


def test_parse_takes_member_names_for_names_only() -> None:
    data = archives.zip_file({"../../etc/passwd": ENGLISH.encode(), "/abs.txt": b"abs", "__MACOSX/._a": b"junk"})

    document = parse_bytes("bundle.zip", data)

    assert [part.path for part in document.parts] == ["../../etc/passwd", "/abs.txt"]


def test_parse_reports_a_member_packed_in_an_unknown_way() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.txt", b"x")
    packed = bytearray(buffer.getvalue())
    for offset in (8, packed.index(b"PK\x01\x02") + 10):
        packed[offset] = 97

    document = parse_bytes("bundle.zip", bytes(packed))

    assert notice_codes(document) == ["document_damaged"]
