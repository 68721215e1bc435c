"""Text in pictures and on scanned pages is read, English and Chinese, and what was guessed is left out."""

import io
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from reportlab.pdfgen import canvas

from gristmill.errors import StepFailed
from gristmill.steps.image.pages import pdf_pages
from gristmill.steps.image.text import Line, Reader, is_available, text_of
from gristmill.steps.model import Fetched
from tests.material import images, pdf

ENGLISH = ["Invoice number 42", "The miller sold forty sacks of rye."]
CHINESE = ["发票号码四十二", "磨坊主卖了四十袋黑麦。"]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def sheet(width: float, height: float) -> bytes:
    """A PDF of one page, sized in points, with a line across it."""
    buffer = io.BytesIO()
    drawing = canvas.Canvas(buffer, pagesize=(width, height), invariant=True)
    drawing.line(0, 0, width, height)
    drawing.showPage()
    drawing.save()
    return buffer.getvalue()


def test_pages_are_read_in_order_and_in_both_languages(reader: Reader) -> None:
    scan = images.fetched(pdf.pdf(ENGLISH, CHINESE, ["never read"], chinese=True), "scan.pdf")

    found = {number: text_of(reader.read(page)) for number, page in pdf_pages(scan, max_pages=2)}

    assert found == {1: "\n".join(ENGLISH), 2: "\n".join(CHINESE)}


def test_line_says_where_it_stands_and_how_sure_it_is(reader: Reader) -> None:
    image = Image.new("RGB", (600, 200), "white")
    ImageDraw.Draw(image).text((100, 60), "QUERN 1834", fill="black", font_size=48)

    (line,) = reader.read(image)

    left, top, right, bottom = line.box
    assert line.text == "QUERN 1834"
    assert 0.8 < line.confidence <= 1
    assert 80 < left < 120
    assert 50 < top < bottom < 130
    assert 300 < right < 450


def test_colours_are_read_as_they_are(reader: Reader) -> None:
    image = Image.new("RGB", (600, 200), (255, 210, 0))
    ImageDraw.Draw(image).text((100, 60), "RYE FLOUR", fill=(0, 40, 160), font_size=48)

    assert text_of(reader.read(image)) == "RYE FLOUR"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (9, 9000), (9000, 9), (64, 64)])
def test_picture_without_text_has_none(reader: Reader, size: tuple[int, int]) -> None:
    assert reader.read(Image.new("RGB", size, "white")) == ()


def test_line_is_read_in_a_strip(reader: Reader) -> None:
    image = Image.new("RGB", (1600, 60), "black")
    ImageDraw.Draw(image).text((1200, 5), "OPEN TODAY", fill="white", font_size=40)

    assert text_of(reader.read(image)) == "OPEN TODAY"


def test_doubtful_lines_are_left_out_of_the_text() -> None:
    box = (0, 0, 1, 1)
    lines = [
        Line(text="sure", confidence=0.97, box=box),
        Line(text="#*", confidence=0.31, box=box),
        Line(text=" ", confidence=0.9, box=box),
        Line(text="后面", confidence=0.5, box=box),
    ]

    assert text_of(lines) == "sure\n后面"


def test_page_has_the_dots_that_were_asked_for() -> None:
    ((number, page),) = pdf_pages(images.fetched(sheet(144, 72), "a.pdf"), max_pages=9, dpi=100)

    assert (number, page.size, page.mode) == (1, (200, 100), "RGB")


@pytest.mark.parametrize("size", [(28_000, 28_000), (14_400, 0.5), (1_000_000, 5)])
def test_huge_page_is_drawn_coarser(size: tuple[float, float]) -> None:
    ((_, page),) = pdf_pages(images.fetched(sheet(*size), "a.pdf"), max_pages=9)

    assert page.width * page.height <= 26_000_000
    assert max(page.size) <= 20_001


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (pdf.encrypted_pdf(ENGLISH), "document_encrypted"),
        (pdf.pdf(ENGLISH)[:300], "document_damaged"),
        (b"no pdf", "document_damaged"),
        (b"", "document_damaged"),
    ],
)
def test_file_whose_pages_cannot_be_drawn_says_why(tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "locked").write_bytes(data)
    kept = Fetched(path=tmp_path / "locked", name="locked.pdf", size=len(data), content_hash="")

    for fetched in (kept, images.fetched(data, "locked.pdf")):
        with pytest.raises(StepFailed, match=r"locked\.pdf") as caught:
            list(pdf_pages(fetched, max_pages=9))
        assert caught.value.code == code


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_available()
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)

    with pytest.raises(StepFailed, match=r"gristmill\[ocr\]"):
        Reader().read(images.corners())
