"""Which files are images is told by name when a folder is walked, and by content when a file is opened."""

from pathlib import Path

import pytest

from gristmill.steps.image.formats import (
    HEAD_BYTES,
    IMAGE_MEDIA_TYPES,
    IMAGE_SUFFIXES,
    ImageFormat,
    format_of,
    is_image_name,
    unsupported_format_of,
    walk_images,
)
from tests.material import images

IDS = [name for name, _, _ in images.formats()]


@pytest.mark.parametrize(("name", "media_type", "data"), images.formats(), ids=IDS)
def test_format_is_told_by_content(name: str, media_type: str, data: bytes) -> None:
    found = format_of(data[:HEAD_BYTES])

    assert found is not None
    assert found.media_type == media_type
    assert IMAGE_SUFFIXES[Path(name).suffix] is found
    assert media_type in IMAGE_MEDIA_TYPES


def test_general_brand_is_told_apart_by_the_compatible_ones_behind_it() -> None:
    assert format_of(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif") is ImageFormat.AVIF
    assert format_of(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") is ImageFormat.HEIF
    assert format_of(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") is None


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn --><svg >", "SVG"),
        (b"8BPS\0\1", "PSD"),
        (b"\0\0\1\0\1\0", "ICO"),
        (b"icns\0\0", "ICNS"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "EPS"),
        (b"P6\n2 2\n255\n", "PNM"),
        (b"a text about <svg > tags", None),
    ],
)
def test_other_pictures_are_known_by_name(head: bytes, name: str | None) -> None:
    assert format_of(head) is None
    assert unsupported_format_of(head) == name


def test_walk_finds_images_in_order_and_passes_over_what_is_hidden(tmp_path: Path) -> None:
    for path in ("b.PNG", "a.jpg", "sub/c.heic", "notes.txt", ".hidden.jpg", ".cache/d.jpg", "sub/.e.gif", "jpg"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()

    assert [str(path.relative_to(tmp_path)) for path in walk_images(tmp_path)] == ["a.jpg", "b.PNG", "sub/c.heic"]
    assert is_image_name("Holiday.JPEG")
    assert not is_image_name("jpeg")
