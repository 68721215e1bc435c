"""Writers of the sample library: one function for each format, from a parsed source to the bytes of the file.

The same source gives the same bytes on every run: clocks, random ids and archive times are fixed here and nowhere else.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
import zlib
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docx
import openpyxl
import pptx
from docx.oxml.ns import qn
from library_source import Block, Source, lines_of, sections_of
from reportlab.lib import colors
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Paragraph, Preformatted, SimpleDocTemplate, Spacer, Table, TableStyle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["WRITERS", "pack"]

GLYPHS: Final = Path(__file__).resolve().parent / "source" / "dots.json"
STAMP: Final = datetime(2024, 1, 15, 9, 0, 0)  # noqa: DTZ001 - office formats store naive times
ZIP_STAMP: Final = (2024, 1, 15, 9, 0, 0)
CJK_FONT: Final = "STSong-Light"
XML: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
ENCODINGS: Final = {"gbk": "gbk", "utf-16": "utf-16-le", "utf-8": "utf-8", "utf-8-bom": "utf-8-sig"}


def pack(members: Iterable[tuple[str, bytes]], *, stored: frozenset[str] = frozenset()) -> bytes:
    """Return a zip archive with fixed times and modes, so that the same members give the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, ZIP_STAMP)
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return target.getvalue()


def _repack(content: bytes) -> bytes:
    """Return an office file with the writer's clock taken out."""
    modified = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    stamp = STAMP.isoformat().encode() + b"Z"
    return pack((n, modified.sub(rb"\g<1>" + stamp, c) if n == "docProps/core.xml" else c) for n, c in members)


def _pdf(source: Source) -> bytes:
    pdfmetrics.registerFont(UnicodeCIDFont(CJK_FONT))
    plain, bold = (CJK_FONT, CJK_FONT) if source.chinese else ("Helvetica", "Helvetica-Bold")
    wrap = "CJK" if source.chinese else None
    sizes = {"h1": 18, "h2": 13.5, "h3": 11.5}
    styles = {
        kind: ParagraphStyle(kind, fontName=bold, fontSize=size, leading=size * 1.4, spaceAfter=5, wordWrap=wrap)
        for kind, size in sizes.items()
    }
    text = ParagraphStyle("p", fontName=plain, fontSize=10.5, leading=15.5, spaceAfter=7, wordWrap=wrap)
    cell = ParagraphStyle("cell", parent=text, fontSize=9, leading=12, spaceAfter=0)
    bullet = ParagraphStyle("ul", parent=text, leftIndent=14, bulletIndent=3, spaceAfter=3)
    grid = TableStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
            ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    story: list[object] = []
    for block in source.blocks:
        if block.kind in sizes:
            story.append(Paragraph(escape(block.text), styles[block.kind]))
        elif block.kind == "ul":
            story += [Paragraph(escape(row[0]), bullet, bulletText="•") for row in block.rows]
        elif block.kind == "table":
            cells = [[Paragraph(escape(value), cell) for value in row] for row in block.rows]
            story += [Table(cells, style=grid, repeatRows=1, hAlign="LEFT"), Spacer(1, 8)]
        elif block.kind in {"p", "note"}:
            story.append(Paragraph(escape(block.text), text))
        else:
            story.append(Preformatted(block.text, ParagraphStyle("code", fontName="Courier", fontSize=9, leading=11)))
    target = io.BytesIO()
    SimpleDocTemplate(target, title=source.title, author=source.author, lang=source.language, invariant=1).build(story)
    return target.getvalue()


def _docx(source: Source) -> bytes:
    document = docx.Document()
    document.core_properties.title, document.core_properties.author = source.title, source.author
    document.styles["Normal"].element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), "SimSun")
    for block in source.blocks:
        if block.kind in {"h1", "h2", "h3"}:
            document.add_heading(block.text, int(block.kind[1]))
        elif block.kind == "ul":
            for row in block.rows:
                document.add_paragraph(row[0], style="List Bullet")
        elif block.kind == "table":
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
            for row in block.rows:
                for place, value in zip(table.add_row().cells, row, strict=True):
                    place.text = value
        else:
            document.add_paragraph(block.text)
    target = io.BytesIO()
    document.save(target)
    return _repack(target.getvalue())


def _pptx(source: Source) -> bytes:
    deck = pptx.Presentation()
    deck.core_properties.title, deck.core_properties.author = source.title, source.author
    for number, (heading, blocks) in enumerate(sections_of(source)):
        slide = deck.slides.add_slide(deck.slide_layouts[1 if number else 0])
        slide.shapes.title.text = heading
        lines = [line for block in blocks if block.kind in {"p", "ul"} for line in lines_of(block)]
        slide.placeholders[1].text = "\n".join(lines)
        notes = [block.text for block in blocks if block.kind == "note"]
        if notes:
            slide.notes_slide.notes_text_frame.text = "\n".join(notes)
    target = io.BytesIO()
    deck.save(target)
    return _repack(target.getvalue())


def _xlsx(source: Source) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.title, book.properties.creator = source.title, source.author
    for heading, blocks in sections_of(source):
        sheet = book.create_sheet(heading)
        for block in blocks:
            for row in block.rows if block.kind == "table" else [(line,) for line in lines_of(block)]:
                sheet.append([_number(value) for value in row])
    target = io.BytesIO()
    book.save(target)
    return _repack(target.getvalue())


def _number(value: str) -> str | int | float:
    if re.fullmatch(r"-?(0|[1-9]\d*)", value):
        return int(value)
    return float(value) if re.fullmatch(r"-?\d+\.\d+", value) else value


def _markup(blocks: Iterable[Block]) -> str:
    """Write the blocks as XHTML, for web pages and e-books alike."""
    parts: list[str] = []
    for block in blocks:
        if block.kind == "ul":
            parts.append("<ul>" + "".join(f"<li>{escape(row[0])}</li>" for row in block.rows) + "</ul>")
        elif block.kind == "table":
            head, *rest = block.rows
            parts.append("<table><tr>" + "".join(f"<th>{escape(value)}</th>" for value in head) + "</tr>")
            parts += ["<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rest]
            parts.append("</table>")
        else:
            tag = {"note": "blockquote"}.get(block.kind, block.kind if re.fullmatch("h[123]|p", block.kind) else "pre")
            parts.append(f"<{tag}>{escape(block.text)}</{tag}>")
    return "\n".join(parts)


def _html(source: Source) -> bytes:
    author = f'<meta name="author" content="{escape(source.author)}">'
    head = f'<meta charset="utf-8">\n<title>{escape(source.title)}</title>\n{author}'
    navigation = '<nav><a href="/">Home</a> <a href="/visit">Visit</a></nav>\n' if "navigation" in source.facts else ""
    page = f'<!doctype html>\n<html lang="{source.language}">\n<head>\n{head}\n</head>\n<body>\n{navigation}'
    return f"{page}{_markup(source.blocks)}\n</body>\n</html>\n".encode()


def _epub(source: Source) -> bytes:
    chapters = sections_of(source)
    names = [f"chapter{number}" for number in range(1, len(chapters) + 1)]
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in names)
    links = "".join(f'<li><a href="{n}.xhtml">{escape(t)}</a></li>' for n, (t, _) in zip(names, chapters, strict=True))
    page = (
        f'{XML}<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
        "<head><title>{}</title></head><body>{}</body></html>\n"
    )
    identifier = f"urn:x-sallow-weir:{zlib.crc32(source.body.encode()):08x}"
    package = (
        f'{XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">{identifier}</dc:identifier><dc:title>{escape(source.title)}</dc:title>'
        f"<dc:creator>{escape(source.author)}</dc:creator><dc:language>{source.language}</dc:language>"
        f'<meta property="dcterms:modified">{STAMP.isoformat()}Z</meta></metadata><manifest>'
        f'<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>{items}</manifest>'
        f'<spine>{"".join(f"""<itemref idref="{n}"/>""" for n in names)}</spine></package>\n'
    )
    container = (
        f'{XML}<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>\n'
    )
    contents = page.format(escape(source.title), f'<nav epub:type="toc"><ol>{links}</ol></nav>')
    members = [("mimetype", "application/epub+zip"), ("META-INF/container.xml", container)]
    members += [("OEBPS/content.opf", package), ("OEBPS/nav.xhtml", contents)]
    for name, (title, blocks) in zip(names, chapters, strict=True):
        body = f"<h1>{escape(title)}</h1>\n{_markup(blocks)}"
        members.append((f"OEBPS/{name}.xhtml", page.format(escape(title), body)))
    return pack(((name, text.encode()) for name, text in members), stored=frozenset({"mimetype"}))


def _odt(source: Source) -> bytes:
    parts: list[str] = []
    for block in source.blocks:
        if block.kind in {"h1", "h2", "h3"}:
            parts.append(f'<text:h text:outline-level="{block.kind[1]}">{escape(block.text)}</text:h>')
        elif block.kind == "table":
            row = "<table:table-row>{}</table:table-row>"
            cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
            rows = [row.format("".join(cell.format(escape(value)) for value in values)) for values in block.rows]
            columns = f'<table:table-column table:number-columns-repeated="{len(block.rows[0])}"/>'
            parts.append(f'<table:table table:name="Table">{columns}{"".join(rows)}</table:table>')
        elif block.kind == "ul":
            items = "".join(f"<text:list-item><text:p>{escape(row[0])}</text:p></text:list-item>" for row in block.rows)
            parts.append(f"<text:list>{items}</text:list>")
        else:
            parts.append(f"<text:p>{escape(block.text)}</text:p>")
    space = "urn:oasis:names:tc:opendocument:xmlns:"
    names = " ".join(f'xmlns:{name}="{space}{name}:1.0"' for name in ("office", "text", "table", "meta"))
    head = f'{XML}<office:{{0}} {names} xmlns:dc="http://purl.org/dc/elements/1.1/" office:version="1.3">'
    text = f"<office:body><office:text>{''.join(parts)}</office:text></office:body></office:document-content>"
    content = head.format("document-content") + text
    meta = head.format("document-meta") + (
        f"<office:meta><dc:title>{escape(source.title)}</dc:title><dc:creator>{escape(source.author)}</dc:creator>"
        f"<dc:date>{STAMP.isoformat()}</dc:date><dc:language>{source.language}</dc:language>"
        "</office:meta></office:document-meta>"
    )
    kind = "application/vnd.oasis.opendocument.text"
    listed = [("/", kind), ("content.xml", "text/xml"), ("meta.xml", "text/xml")]
    entries = "".join(f'<manifest:file-entry manifest:full-path="{p}" manifest:media-type="{t}"/>' for p, t in listed)
    opening = f'{XML}<manifest:manifest xmlns:manifest="{space}manifest:1.0" manifest:version="1.3">'
    manifest = f"{opening}{entries}</manifest:manifest>"
    members = [("mimetype", kind), ("content.xml", content), ("meta.xml", meta), ("META-INF/manifest.xml", manifest)]
    return pack(((name, text.encode()) for name, text in members), stored=frozenset({"mimetype"}))


def _rtf(source: Source) -> bytes:
    def coded(text: str) -> str:
        # RTF writes a character beyond ASCII as a signed 16-bit number.
        units = (char if char.isascii() else f"\\u{(ord(char) + 0x8000) % 0x10000 - 0x8000}?" for char in text)
        return "".join(units).replace("\t", "\\tab ")

    parts = ["{\\rtf1\\ansi\\ansicpg1252\\uc1\\deff0{\\fonttbl{\\f0 Times New Roman;}}"]
    parts.append("{\\info{\\title " + coded(source.title) + "}{\\author " + coded(source.author) + "}}")
    for block in source.blocks:
        if block.kind in {"h1", "h2", "h3"}:
            size = 40 - 6 * int(block.kind[1])
            parts.append(f"\\b\\fs{size} {coded(block.text)}\\b0\\fs22\\par")
        else:
            lead = "\\bullet  " if block.kind == "ul" else ""
            parts += [f"{lead}{coded(line)}\\par" for line in lines_of(block)]
    return ("\n".join(parts) + "\n}\n").encode("ascii")


def _eml(source: Source) -> bytes:
    text, *attachments = re.split(r"^=== attachment: (.*)\n", source.body, flags=re.MULTILINE)
    message = EmailMessage(policy=SMTP)
    for key in ("From", "To", "Subject"):
        message[key] = source.facts[key.lower()]
    message["Date"] = format_datetime(datetime.fromisoformat(source.facts["date"]))
    seal = f"{zlib.crc32(source.body.encode()):08x}"
    message["Message-ID"] = f"<{seal}@sallowweir.example>"
    message.set_content(text.strip() + "\n", cte="quoted-printable")
    for name, content in zip(attachments[::2], attachments[1::2], strict=True):
        charset = {"charset": "utf-8"}
        message.add_attachment(content.encode(), maintype="text", subtype="plain", filename=name, params=charset)
    if attachments:
        message.set_boundary(f"=-sheet-{seal}")
    return message.as_bytes()


def _ipynb(source: Source) -> bytes:
    cells: list[dict[str, object]] = []
    for block in source.blocks:
        numbered = {"id": f"cell-{len(cells) + 1}", "metadata": {}}
        if block.kind == "output":
            cells[-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": block.text + "\n"}]
        elif block.kind == "python":
            number = 1 + sum(cell["cell_type"] == "code" for cell in cells)
            code = {"execution_count": number, "outputs": [], "source": block.text}
            cells.append({"cell_type": "code", **numbered, **code})
        else:
            lead = "#" * int(block.kind[1]) + " " if block.kind[0] == "h" else ""
            cells.append({"cell_type": "markdown", **numbered, "source": lead + "\n".join(lines_of(block))})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(book, ensure_ascii=False, indent=1) + "\n").encode()


def _txt(source: Source) -> bytes:
    encoding = source.facts.get("encoding", "utf-8")
    mark = b"\xff\xfe" if encoding == "utf-16" else b""
    return mark + source.body.encode(ENCODINGS[encoding])


def _csv(source: Source) -> bytes:
    """Write a table as saved by a spreadsheet program of its country: the header names encoding, as for plain text."""
    target = io.StringIO()
    for block in source.blocks:
        csv.writer(target, lineterminator="\r\n").writerows(block.rows)
    return target.getvalue().encode(ENCODINGS[source.facts.get("encoding", "utf-8")])


def _scan(source: Source) -> bytes:
    """Draw a page that is one picture: the text is there for eyes only, in letters of 5 x 7 dots."""
    glyphs = json.loads(GLYPHS.read_text("utf-8"))
    lines = [line for block in source.blocks for line in lines_of(block)]
    scale, columns = 3, 34
    rows: list[str] = ["." * (columns * 6)] * 6
    for line in lines:
        cells = [glyphs.get(char, glyphs[" "]) for char in line.upper()[:columns].ljust(columns)]
        rows += [".".join(cell[y] for cell in cells) + "." for y in range(7)] + ["." * (columns * 6)] * 4
    width, height = columns * 6 * scale, len(rows) * scale
    grey = b"".join(bytes(0x28 if dot == "#" else 0xF4 for dot in row for _ in range(scale)) * scale for row in rows)
    pixels = zlib.compress(grey, 9)
    paint = b"q 480 0 0 %d 57 %d cm /Page Do Q" % (480 * height // width, 780 - 480 * height // width)
    shape = b"/Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8" % (width, height)
    resources = b"<< /XObject << /Page 5 0 R >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources %s >>" % resources,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(paint), paint),
        b"<< /Type /XObject /Subtype /Image %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
        % (shape, len(pixels), pixels),
    ]
    page, places = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, 1):
        places.append(b"%010d 00000 n \n" % len(page))
        page += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    table = b"xref\n0 6\n0000000000 65535 f \n" + b"".join(places)
    return page + table + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(page)


WRITERS: Final[dict[str, Callable[[Source], bytes]]] = {
    "csv": _csv, "docx": _docx, "eml": _eml, "epub": _epub, "html": _html, "ipynb": _ipynb, "odt": _odt,
    "pdf": _pdf, "pptx": _pptx, "rtf": _rtf, "scan": _scan, "txt": _txt, "xlsx": _xlsx,
}  # fmt: skip
