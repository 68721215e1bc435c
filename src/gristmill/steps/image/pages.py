"""The pages of a PDF as pictures, for those that are scans."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gristmill.errors import StepFailed
from gristmill.steps.model import Fetched

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["pdf_pages"]

_POINTS_PER_INCH = 72
_MOST_PIXELS = 25_000_000
"""Of one page; A3 at 300 dots per inch has 17 million."""
_MOST_SIDE = 20_000


def pdf_pages(fetched: Fetched, *, max_pages: int, dpi: int = 200) -> Iterator[tuple[int, "Image"]]:
    """Number, from 1 on, and picture of each of the first ``max_pages`` pages; huge ones at fewer dots per inch.

    Raises ``StepFailed`` when the file is damaged or encrypted.
    """
    try:
        import pypdfium2
    except ImportError as error:
        raise StepFailed("extra_missing", feature="OCR", extra="ocr") from error
    try:
        document = pypdfium2.PdfDocument(fetched.data if fetched.path is None else fetched.path)
    except pypdfium2.PdfiumError as error:
        code = "document_encrypted" if "password" in str(error).lower() else "document_damaged"
        raise StepFailed(code, name=fetched.name) from error
    try:
        for index in range(min(len(document), max_pages)):
            try:
                picture = _rendered(document, index, dpi)
            except (pypdfium2.PdfiumError, ValueError) as error:
                raise StepFailed("document_damaged", name=fetched.name) from error
            yield index + 1, picture
    finally:
        document.close()


def _rendered(document: Any, index: int, dpi: int) -> "Image":
    page = document[index]
    try:
        width, height = page.get_size()
        scale = dpi / _POINTS_PER_INCH
        area = max(width * height, 1.0)
        scale = min(scale, (_MOST_PIXELS / area) ** 0.5, _MOST_SIDE / max(width, height, 1.0))
        bitmap = page.render(scale=scale)
        try:
            picture: Image = bitmap.to_pil().convert("RGB")
        finally:
            bitmap.close()
    finally:
        page.close()
    return picture
