"""Thumbnails are small, keep their shape, and tell nothing that is not to be seen in them."""

import io

import pytest
from PIL import Image

from gristmill.steps.image.decode import decode
from gristmill.steps.image.thumbnail import THUMBNAIL_MEDIA_TYPE, shrunk, thumbnail
from tests.material import images


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (320, 240)),
        ((480, 640), (240, 320)),
        ((1000, 700), (320, 224)),
        ((320, 10), (320, 10)),
        ((100, 50), (100, 50)),
        ((5000, 1), (320, 1)),
    ],
)
def test_thumbnail_keeps_the_shape_and_is_never_larger_than_the_picture(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    data = thumbnail(images.photograph(*size), 320)

    with Image.open(io.BytesIO(data)) as small:
        assert small.size == expected
        assert Image.MIME[small.format or ""] == THUMBNAIL_MEDIA_TYPE
    assert len(data) < 40_000


def test_thumbnail_shows_what_the_picture_shows() -> None:
    with Image.open(io.BytesIO(thumbnail(images.corners(960, 640), 96))) as small:
        found = [small.getpixel((x, y)) for y in (16, 48) for x in (24, 72)]

    for seen, colour in zip(found, images.CORNERS, strict=True):
        assert isinstance(seen, tuple)
        assert max(abs(one - other) for one, other in zip(seen, colour, strict=True)) < 12


def test_thumbnail_tells_nothing_of_place_and_owner() -> None:
    exif = Image.Exif()
    exif[0x013B] = "the photographer"
    original = images.encoded(
        images.photograph(), "JPEG", exif=exif, comment=b"a private remark", icc_profile=b"p" * 99
    )
    picture = decode(images.fetched(original), max_pixels=10**8, side=64)

    data = thumbnail(picture.image, 320)

    assert b"the photographer" in original
    assert not any(word in data for word in (b"the photographer", b"a private remark", b"ppp", b"Exif"))
    # The picture of which it was made is as it was.
    assert picture.image.info


def test_copy_of_a_small_picture_is_a_copy() -> None:
    image = images.corners()

    assert shrunk(image, 320) is not image
