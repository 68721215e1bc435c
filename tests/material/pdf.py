"""PDF files, readable and not."""

import io
from collections.abc import Sequence

from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

__all__ = ["encrypted_pdf", "pdf", "scanned_pdf"]

_CHINESE_FONT = "STSong-Light"


def pdf(*pages: Sequence[str], title: str = "", chinese: bool = False) -> bytes:
    """One page per argument; the first line of a page is set large, as a heading."""
    buffer = io.BytesIO()
    drawing = canvas.Canvas(buffer, pagesize=A4, invariant=True)
    drawing.setTitle(title)
    font = "Helvetica"
    if chinese:
        pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE_FONT))
        font = _CHINESE_FONT
    for lines in pages:
        height = 780
        for position, line in enumerate(lines):
            drawing.setFont(font, 22 if position == 0 else 11)
            drawing.drawString(60, height, line)
            height -= 40 if position == 0 else 18
        drawing.showPage()
    drawing.save()
    return buffer.getvalue()


def encrypted_pdf(*pages: Sequence[str], password: str = "sesame") -> bytes:
    """A PDF that opens only with ``password``."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(*pages))))
    writer.encrypt(password, algorithm="AES-256")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def scanned_pdf(pages: int = 2) -> bytes:
    """Pages that hold drawings and no text, as a scanner without text recognition makes them."""
    buffer = io.BytesIO()
    drawing = canvas.Canvas(buffer, pagesize=A4, invariant=True)
    for _ in range(pages):
        drawing.rect(60, 60, 400, 600, fill=1)
        drawing.showPage()
    drawing.save()
    return buffer.getvalue()
