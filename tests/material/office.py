"""Word, PowerPoint, Excel, OpenDocument and e-book files."""

import io
import zipfile
from collections.abc import Mapping, Sequence

import docx
import openpyxl
import pptx

__all__ = ["docx_file", "epub_file", "odt_file", "pptx_file", "xlsx_file"]

_ODF_SPACES = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
)


def docx_file(title: str, *paragraphs: str, table: Sequence[Sequence[str]] = ()) -> bytes:
    """A heading, paragraphs and, if asked, a table."""
    document = docx.Document()
    document.core_properties.title = title
    document.add_heading(title, level=1)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if table:
        grid = document.add_table(rows=len(table), cols=len(table[0]))
        for row, cells in zip(grid.rows, table, strict=True):
            for cell, value in zip(row.cells, cells, strict=True):
                cell.text = value
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def pptx_file(*slides: tuple[str, str]) -> bytes:
    """One slide per (title, body)."""
    deck = pptx.Presentation()
    for title, body in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def xlsx_file(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    """One sheet per entry, in order."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _packed(media_type: str, members: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        # Readers recognise these containers by an uncompressed first member called mimetype.
        archive.writestr(zipfile.ZipInfo("mimetype"), media_type, zipfile.ZIP_STORED)
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text.encode(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def odt_file(title: str, *paragraphs: str) -> bytes:
    """An OpenDocument text with a heading and paragraphs."""
    media_type = "application/vnd.oasis.opendocument.text"
    body = "".join(f"<text:p>{paragraph}</text:p>" for paragraph in paragraphs)
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {_ODF_SPACES} office:version="1.2">'
        f'<office:body><office:text><text:h text:outline-level="1">{title}</text:h>{body}'
        "</office:text></office:body></office:document-content>"
    )
    manifest = (
        '<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{media_type}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    return _packed(media_type, {"content.xml": content, "META-INF/manifest.xml": manifest})


def epub_file(title: str, *chapters: tuple[str, str]) -> bytes:
    """An e-book with one page per (heading, text)."""
    container = (
        '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">urn:x:mill</dc:identifier>'
        f"<dc:title>{title}</dc:title><dc:language>en</dc:language></metadata>"
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    pages = {
        f"c{n}.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{heading}</title></head>'
        f"<body><h1>{heading}</h1><p>{text}</p></body></html>"
        for n, (heading, text) in enumerate(chapters)
    }
    return _packed("application/epub+zip", {"META-INF/container.xml": container, "book.opf": package, **pages})
