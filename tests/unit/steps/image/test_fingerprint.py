"""Copies of a picture have nearly the same fingerprint; other pictures have another."""

import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageEnhance, ImageOps

from gristmill.steps.image.fingerprint import BITS, difference_hash, distance
from gristmill.steps.image.thumbnail import shrunk, thumbnail
from tests.material import images

NEAR = 12
FAR = 60


def squeezed(image: Image.Image) -> Image.Image:
    with Image.open(io.BytesIO(images.encoded(image, "JPEG", quality=30))) as copy:
        return copy.convert("RGB")


def from_thumbnail(image: Image.Image) -> Image.Image:
    with Image.open(io.BytesIO(thumbnail(image, 320))) as copy:
        return copy.convert("RGB")


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((200, 234)),
        lambda image: image.resize((1024, 700)),
        lambda image: image.convert("L").convert("RGB"),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: shrunk(image, 320),
        squeezed,
        from_thumbnail,
    ],
    ids=["smaller", "other shape", "grey", "darker", "shrunk", "compressed", "thumbnail"],
)
def test_copies_are_near(change: Callable[[Image.Image], Image.Image]) -> None:
    original = images.photograph()

    assert distance(difference_hash(original), difference_hash(change(original))) <= NEAR


def test_strangers_are_far() -> None:
    original = difference_hash(images.photograph())

    for other in (ImageOps.mirror(images.photograph()), ImageOps.flip(images.photograph()), images.corners()):
        assert distance(original, difference_hash(other)) >= FAR


def test_fingerprint_is_256_bits_in_hexadecimal_and_each_says_what_is_brighter() -> None:
    rising = Image.linear_gradient("L").rotate(90).convert("RGB")
    plain = Image.new("RGB", (50, 40), "red")

    assert difference_hash(rising) == "f" * 64
    assert difference_hash(ImageOps.mirror(rising)) == difference_hash(plain) == "0" * 64
    assert distance("f" * 64, "0" * 64) == BITS == 256
    assert distance("0f" * 32, "0f" * 32) == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3)])
def test_pictures_of_odd_shapes_have_one_too(size: tuple[int, int]) -> None:
    assert len(difference_hash(Image.new("RGB", size))) == 64
