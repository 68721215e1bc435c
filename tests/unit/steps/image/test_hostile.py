"""Files that are broken, lying or made to hurt are refused by name and reason, fast, and cost one image, never more."""

import sys
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.errors import StepFailed
from gristmill.messages import LANGUAGES
from gristmill.steps.image.decode import decode
from tests.material import archives, images, pdf
from tests.material.words import ENGLISH

PNG = images.encoded(images.photograph(), "PNG")
JPEG = images.encoded(images.photograph(), "JPEG")
WEBP = images.encoded(images.photograph(), "WEBP")
HEIC = next(data for name, _, data in images.formats() if name == "a.heic")
SOUND = [data for _, _, data in images.formats()] + [
    images.encoded(images.photograph(64, 64), "JPEG", progressive=True),
    images.turned(images.corners(), 6, "TIFF"),
    images.turned(images.corners(), 6, "JPEG"),
    images.encoded(images.corners(), "GIF", save_all=True, append_images=[images.photograph(96, 64)]),
    images.encoded(images.corners(), "PNG", save_all=True, append_images=[images.photograph(96, 64)]),
    images.deep_tiff(),
]

# What decoders remark on the side about broken notes is no concern of these tests.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore:Image size:Warning:PIL")


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.jpg", b"", "image_empty"),
        ("words.jpg", ENGLISH.encode(), "image_unreadable"),
        ("noise.png", bytes(range(256)) * 4, "image_unreadable"),
        ("zeros.gif", bytes(1000), "image_unreadable"),
        ("archive.jpg", archives.zip_file({"a.txt": b"text"}), "image_unreadable"),
        ("page.jpg", pdf.pdf([ENGLISH]), "image_format_unsupported"),
        ("drawing.png", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "image_format_unsupported"),
        ("icon.png", images.encoded(images.corners(), "ICO"), "image_format_unsupported"),
        ("icon.icns", images.encoded(images.corners(), "ICNS"), "image_format_unsupported"),
        ("program.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run", "image_format_unsupported"),
        ("half.jpg", JPEG[: len(JPEG) // 2], "image_truncated"),
        ("half.png", PNG[: len(PNG) // 2], "image_truncated"),
        ("half.webp", WEBP[: len(WEBP) // 2], "image_truncated"),
        ("half.gif", images.encoded(images.photograph(), "GIF")[:5000], "image_truncated"),
        ("half.bmp", images.encoded(images.photograph(), "BMP")[:5000], "image_truncated"),
        ("head.jpg", JPEG[:40], "image_truncated"),
        ("signature.png", PNG[:8], "image_damaged"),
        ("brand.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image_damaged"),
        ("letter.bmp", b"BMW makes cars" * 9, "image_unreadable"),
        ("bent.png", PNG[:200] + bytes(500) + PNG[700:], "image_damaged"),
        ("bomb.png", images.giant_png(), "image_too_large"),
        ("screen.gif", images.giant_gif(), "image_too_large"),
        ("lying.png", images.lying_png(9_000, 9_000), "image_truncated"),
        ("lying-more.png", images.lying_png(2**31 - 1, 2**31 - 1), "image_too_large"),
        ("frame.gif", images.overflowing_gif(), "image_unfolds"),
        ("note.png", images.text_bomb_png(), "image_unfolds"),
        ("nothing.png", images.lying_png(0, 5), "image_damaged"),
    ],
)
def test_bad_file_is_refused_for_good_and_says_why(name: str, data: bytes, code: str) -> None:
    with pytest.raises(StepFailed) as caught:
        decode(images.fetched(data, name), max_pixels=100_000_000, side=64)

    assert caught.value.code == code
    assert not caught.value.transient
    for language in LANGUAGES:
        told = caught.value.message(language)
        assert name in told
        assert "{" not in told
        assert "0x" not in told


def test_picture_at_the_limit_is_read_and_one_pixel_more_is_not() -> None:
    data = images.encoded(images.corners(100, 50), "PNG")

    assert decode(images.fetched(data), max_pixels=5000, side=64).width == 100
    with pytest.raises(StepFailed, match="100 x 50"):
        decode(images.fetched(data), max_pixels=4999, side=64)


def test_picture_with_something_else_behind_it_is_the_picture() -> None:
    for data in (JPEG, PNG, images.encoded(images.corners(), "GIF")):
        behind = data + archives.zip_file({"evil.txt": b"text"}) + pdf.pdf([ENGLISH])

        assert decode(images.fetched(behind), max_pixels=10**8, side=64).image.mode == "RGB"


def test_directories_of_a_tiff_that_point_at_each_other_come_to_an_end() -> None:
    data = bytearray(images.deep_tiff())
    data[-4:] = data[4:8]

    assert decode(images.fetched(bytes(data)), max_pixels=10**8, side=64).frames >= 1


def test_note_of_a_nameless_kind_beside_a_heic_picture_does_not_end_the_process() -> None:
    bent = HEIC.replace(b"\0\2\0\0Exif", b"\0\2\0\0Exi\xff")

    assert bent != HEIC
    assert decode(images.fetched(bent), max_pixels=10**8, side=64).width == 64


def test_format_whose_library_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_pi_heif", None)

    with pytest.raises(StepFailed, match=r"gristmill\[images\]"):
        decode(images.fetched(HEIC), max_pixels=10**8, side=64)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_happens_to_the_bytes_only_our_errors_come_out(data: st.DataObject) -> None:
    sound = data.draw(st.sampled_from(SOUND))
    mutated = bytearray(sound[: data.draw(st.integers(1, len(sound)))])
    for _ in range(data.draw(st.integers(0, 12))):
        # Headers decide more than pixels do.
        most = min(len(mutated), data.draw(st.sampled_from([40, 400, len(mutated)])))
        mutated[data.draw(st.integers(0, most - 1))] = data.draw(st.integers(0, 255))

    with suppress(StepFailed):
        picture = decode(images.fetched(bytes(mutated)), max_pixels=1_000_000, side=32)

        assert picture.image.mode == "RGB"
        assert picture.width * picture.height <= 1_000_000
