"""Files made to hurt: each with what is to be said of it and, where it holds an honest word, that word."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.material import archives, office, pdf, texts
from tests.material.quine import quine_zip
from tests.material.words import CHINESE, ENGLISH

__all__ = ["MARK", "Specimen", "specimens"]

MARK = "quernstone"
"""Stands in every specimen whose text can be had; no other text of the tests has it."""

_SENTENCE = f"{MARK} {ENGLISH}"
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_BOMB = f'<!DOCTYPE a [<!ENTITY l0 "{"ha" * 50}">{_LAUGHS}]>'
_OUTSIDE = '<!DOCTYPE a [<!ENTITY out SYSTEM "file:///etc/passwd"><!ENTITY % far SYSTEM "http://127.0.0.1:9/x"> %far;]>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """One hostile file."""

    name: str
    data: bytes = field(repr=False)
    says: str = ""
    """The code of its error or of one of its notices; empty where there is nothing to say."""
    found: bool = False
    """Whether its text can be searched for :data:`MARK`."""


def specimens(*, line_megabytes: int = 60) -> Iterator[Specimen]:
    """All of them."""
    yield from _archives()
    yield from _markup()
    yield from _portable()
    yield from _pictures()
    yield from _characters()
    yield from _patterns()
    words = f"{_SENTENCE} " * (line_megabytes * (1 << 20) // (len(_SENTENCE) + 1))
    yield Specimen(name="one-line.txt", data=words.encode(), says="text_cut", found=True)


def _archives() -> Iterator[Specimen]:
    text = _SENTENCE.encode()
    climbing = {"../../../etc/cron.d/evil.txt": text, "/etc/evil.txt": text, "C:\\evil.txt": text, "..": text}
    yield Specimen(name="slip.zip", data=archives.zip_file(climbing), found=True)
    link = zipfile.ZipInfo("passwd.txt")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.txt", text)
    yield Specimen(name="link.zip", data=buffer.getvalue(), found=True)
    yield Specimen(name="bomb.zip", data=archives.zip_bomb(), says="archive_member_expands_too_much")
    overlapping = archives.overlapping_zip("a.txt", text * 5_000, copies=60_000)
    yield Specimen(name="overlapping.zip", data=overlapping, says="archive_cut", found=True)
    lying = archives.lying_zip("a.txt", text, claimed=3)
    yield Specimen(name="lying-small.zip", data=lying, says="document_damaged")
    lying = archives.lying_zip("a.txt", text, claimed=0xFFFF_FFF0)
    yield Specimen(name="lying-large.zip", data=lying)
    yield Specimen(name="locked.zip", data=archives.encrypted_zip("a.txt", text), says="document_encrypted")
    nested = archives.zip_bomb(1)
    for depth in range(20):
        nested = archives.zip_file({f"{depth}.zip": nested})
    yield Specimen(name="nested.zip", data=nested, says="archive_nested")
    nested = archives.zip_file({"0.txt": text})
    for depth in range(5):
        nested = archives.zip_file({f"{depth}-{number}.zip": nested for number in range(16)})
    yield Specimen(name="forty-two.zip", data=nested, says="archive_nested")
    yield Specimen(name="quine.zip", data=quine_zip(), says="archive_nested")
    yield Specimen(name="quoted.zip", data=archives.quoting_zip(members=250), says="archive_member_expands_too_much")
    yield Specimen(name="many.zip", data=_many_members(30_000), says="notices_cut")
    yield Specimen(name="half.zip", data=archives.zip_file({"a.txt": text * 99})[:70], says="document_damaged")
    svg = f'<?xml version="1.0"?>{_BOMB}<svg><text>{MARK} &l9;</text></svg>'.encode()
    held = archives.zip_file({"picture.svg": svg, "good.txt": text})
    yield Specimen(name="svg.zip", data=held, says="read_as_plain_text", found=True)


def _many_members(count: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(zipfile.ZipInfo(f"{number}.txt"), b"")
    return buffer.getvalue()


def _markup() -> Iterator[Specimen]:
    for name, types, reference in (("laughs", _BOMB, "&l9;"), ("outside", _OUTSIDE, "&out;")):
        whole = f'<?xml version="1.0"?>{types}<a x="{reference}">{MARK} {reference}</a>'
        yield Specimen(name=f"{name}.xml", data=whole.encode(), says="read_as_plain_text", found=True)
        for kind, honest, member in (
            ("docx", office.docx_file("T", MARK), "word/document.xml"),
            ("xlsx", office.xlsx_file({"S": [[MARK, 1]]}), "xl/workbook.xml"),
            ("odt", office.odt_file("T", MARK), "content.xml"),
            ("epub", office.epub_file("T", ("One", MARK)), "c0.xhtml"),
        ):
            says = "document_damaged" if kind == "odt" else ""
            yield Specimen(name=f"{name}.{kind}", data=_with_types(honest, member, types, reference), says=says)
    large = {"[Content_Types].xml": b"<x/>", "word/document.xml": b"<a>" + b"a" * (110 << 20)}
    yield Specimen(name="bomb.docx", data=archives.zip_file(large), says="file_too_large_for_format")
    yield Specimen(name="deep.html", data=b"<div>" * 100_000 + _SENTENCE.encode() + b"</div>" * 100_000, found=True)
    deep = b"<a>" + _SENTENCE.encode() + b"<a>" * 100_000
    yield Specimen(name="deep.xml", data=deep, says="text_cut", found=True)
    yield Specimen(
        name="deep.json", data=f'["{MARK}", '.encode() + b"[" * 100_000, says="read_as_plain_text", found=True
    )
    yield Specimen(name="deep.rtf", data=b"{\\rtf1 " + b"{" * 100_000 + MARK.encode())
    yield Specimen(name="deep.md", data=_SENTENCE.encode() + b"\n" + b"> " * 100_000, says="text_cut", found=True)
    yield Specimen(name="deep.docx", data=_deep_docx(), says="document_damaged")


def _with_types(packed: bytes, member: str, types: str, reference: str) -> bytes:
    """An office file one part of which declares ``types`` and refers to one of their entities."""
    source = zipfile.ZipFile(io.BytesIO(packed))
    members = {info.filename: source.read(info) for info in source.infolist()}
    text = members[member].decode().replace(MARK, f"{MARK} {reference}")
    start = text.index("?>") + 2 if text.startswith("<?xml") else 0
    members[member] = (text[:start] + types + text[start:]).encode()
    return archives.zip_file(members)


def _deep_docx() -> bytes:
    honest = office.docx_file("T", MARK)
    source = zipfile.ZipFile(io.BytesIO(honest))
    members = {info.filename: source.read(info) for info in source.infolist()}
    document = members["word/document.xml"]
    members["word/document.xml"] = document.replace(b"<w:body>", b"<w:body>" + b"<w:tbl><w:tr><w:tc>" * 20_000)
    return archives.zip_file(members)


def _portable() -> Iterator[Specimen]:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Contents 4 0 R >>"
    catalog = b"<< /Type /Catalog /Pages 2 0 R >>"
    tree = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    tiny = _stream(b"BT ET")
    yield Specimen(
        name="loop.pdf",
        data=_raw_pdf([catalog, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>"]),
        says="document_damaged",
    )
    endless = b"<< /Type /Pages /Kids [3 0 R] /Count 2147483647 >>"
    yield Specimen(name="count.pdf", data=_raw_pdf([catalog, endless, page, tiny]), says="scanned_without_text")
    bomb = zlib.compress(zlib.compress(b" " * (100 << 20), 9), 9)
    twice = b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%s\nendstream" % (len(bomb), bomb)
    yield Specimen(name="inflating.pdf", data=_raw_pdf([catalog, tree, page, twice]), says="scanned_without_text")
    lying = b"<< /Length 99999999999 >>\nstream\nBT ET\nendstream"
    yield Specimen(name="length.pdf", data=_raw_pdf([catalog, tree, page, lying]), says="scanned_without_text")
    itself = b"<< /Length 4 0 R >>\nstream\nBT ET\nendstream"
    yield Specimen(name="itself.pdf", data=_raw_pdf([catalog, tree, page, itself]), says="scanned_without_text")
    nested = b"[" * 100_000 + b"]" * 100_000
    yield Specimen(name="arrays.pdf", data=_raw_pdf([catalog, tree, page, tiny, nested]), says="scanned_without_text")
    wide = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 1e30 1e30] /Contents 4 0 R >>"
    yield Specimen(name="wide.pdf", data=_raw_pdf([catalog, tree, wide, tiny]), says="scanned_without_text")
    before = _raw_pdf([catalog, tree, page, tiny])
    turned = before.replace(b"trailer << ", b"trailer << /Prev %d " % before.rindex(b"xref\n0"))
    yield Specimen(name="prev.pdf", data=turned, says="scanned_without_text")
    yield Specimen(name="half.pdf", data=pdf.pdf([ENGLISH])[:700], says="document_damaged")
    yield Specimen(name="locked.pdf", data=pdf.encrypted_pdf([ENGLISH]), says="document_encrypted")
    yield Specimen(name="noise.pdf", data=b"%PDF-1.7\n" + bytes(range(256)) * 40, says="document_damaged")


def _stream(data: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(data), data)


def _raw_pdf(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _pictures() -> Iterator[Specimen]:
    side = 30_000
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    picture = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    )
    yield Specimen(name="large.png", data=picture, says="format_unsupported")
    yield Specimen(name="picture.txt", data=picture, says="format_unsupported")
    yield Specimen(name="packed.txt", data=gzip.compress(b"a" * (50 << 20)), says="format_unsupported")


def _characters() -> Iterator[Specimen]:
    yield Specimen(name="nul.txt", data=f"{MARK}\0 {ENGLISH}\0".encode() * 3, found=True)
    yield Specimen(name="nuls.txt", data=bytes(5_000_000), says="document_damaged")
    broken = _SENTENCE.encode() + b" \xed\xa0\x80\xed\xb0\x80 \xf8\x88\x80\x80\x80 \xc0\xaf " + CHINESE.encode() * 40
    yield Specimen(name="surrogates.txt", data=broken, says="characters_replaced", found=True)
    turned = f"\u202e\u2066\u200b\ufeff{MARK} \x1b[31m\x07\x08{ENGLISH}\u2069"
    yield Specimen(name="\u202etxt.bidi\u2066.txt", data=turned.encode(), found=True)
    yield Specimen(name="bell\x07\x1b[31m.txt", data=_SENTENCE.encode(), found=True)
    yield Specimen(name="../../climbing.txt", data=_SENTENCE.encode(), found=True)
    yield Specimen(name="n" * 400 + ".txt", data=_SENTENCE.encode(), found=True)
    yield Specimen(name="marks.txt", data=(MARK + " a" + "\u0301" * 200_000).encode(), found=True)
    yield Specimen(name="gbk.txt", data=f"{MARK} {CHINESE}".encode("gbk"), found=True)
    yield Specimen(name="wide.txt", data=f"{MARK} {CHINESE}".encode("utf-16"), found=True)
    yield Specimen(name="wide-unmarked.txt", data=f"{_SENTENCE} {CHINESE}".encode("utf-16-le"), found=True)
    page = texts.html_page(MARK, CHINESE, charset="utf-16").encode("gbk")
    yield Specimen(name="claims.html", data=page, found=True)
    yield Specimen(name="packs.html", data=texts.html_page(MARK, ENGLISH, charset="zlib").encode(), found=True)
    yield Specimen(name="really-pdf.txt", data=pdf.pdf([_SENTENCE]), says="mislabelled", found=True)
    yield Specimen(name="really-docx.pdf", data=office.docx_file("T", _SENTENCE), says="mislabelled", found=True)
    yield Specimen(name="really-text.docx", data=_SENTENCE.encode(), says="document_damaged")
    yield Specimen(name="program.docx", data=b"MZ\x90\0" + bytes(500), says="format_unsupported")
    yield Specimen(name="empty.pdf", data=b"", says="file_empty")


def _patterns() -> Iterator[Specimen]:
    """Texts whose recognition would take the square of their length, or double with every byte."""
    yield Specimen(name="comments", data=b"<!---->" * 140 + _SENTENCE.encode(), found=True)
    film = f"00:00:01,000 --> 00:00:02,000\n{MARK}" + "\n" * 300_000 + "x\n\n2\n00:00:03,000 --> 00:00:04,000\nEnd"
    yield Specimen(name="blank.srt", data=film.encode(), says="text_cut", found=True)
    yield Specimen(name="blank.md", data=f"# {MARK}{' ' * 300_000}x\n\nEnd".encode(), found=True)
    yield Specimen(name="title.md", data=f"---\ntitle: {MARK}{' ' * 300_000}x\n---\nEnd".encode(), found=True)
    for name, header in (("words", "From: " + "a " * 150_000), ("brackets", "To: " + "(" * 300_000)):
        yield Specimen(name=f"{name}.eml", data=f"Subject: x\n{header}\n\n{_SENTENCE}".encode(), found=True)
    fields = "a*0=b;" * 20_000
    mail = f"Subject: x\nContent-Type: text/plain; {fields}\n\n{_SENTENCE}"
    yield Specimen(name="fields.eml", data=mail.encode(), found=True)
    ragged = ",".join([MARK] * 990) + "\n" + "1\n" * 100_000
    yield Specimen(name="ragged.csv", data=ragged.encode(), says="text_cut", found=True)
    cells = "<table><tr>" + f"<td>{MARK}" * 20_000 + "<tr><td>y" * 20_000
    yield Specimen(name="ragged.html", data=cells.encode(), says="text_cut", found=True)
