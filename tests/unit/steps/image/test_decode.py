"""A picture comes out upright, in the colours a screen would show, and small enough, whatever its file made of it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from gristmill.errors import InvalidInput
from gristmill.steps.image.decode import Picture, Region, decode
from gristmill.steps.model import Fetched
from tests.material import images

MAX_PIXELS = 100_000_000
IDS = [name for name, _, _ in images.formats()]
WHITE = (255, 255, 255)


def picture_of(data: bytes, *, side: int = 32, region: Region | None = None) -> Picture:
    return decode(images.fetched(data), max_pixels=MAX_PIXELS, side=side, region=region)


def quarters(picture: Picture) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters."""
    width, height = picture.image.size
    return [pixel(picture, x, y) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]


def pixel(picture: Picture, x: int, y: int) -> tuple[int, ...]:
    found = picture.image.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def is_near(found: npt.ArrayLike, wanted: npt.ArrayLike, *, by: int = 12) -> bool:
    return bool(np.abs(np.asarray(found, dtype=int) - np.asarray(wanted, dtype=int)).max() <= by)


@pytest.mark.parametrize(("name", "media_type", "data"), images.formats(), ids=IDS)
def test_every_format_shows_the_same_picture(name: str, media_type: str, data: bytes) -> None:
    # The name is wrong for all but one, and does not matter.
    picture = picture_of(data)

    assert is_near(quarters(picture), images.CORNERS)
    assert (picture.media_type, picture.image.mode, picture.frames, picture.notices) == (media_type, "RGB", 1, ())
    assert (picture.width, picture.height) == ((64, 48) if name == "a.heic" else (96, 64))


def test_picture_is_read_from_a_file_as_well(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(images.encoded(images.corners(), "PNG"))
    fetched = Fetched(path=path, name="picture.png", size=path.stat().st_size, content_hash="")

    assert is_near(quarters(decode(fetched, max_pixels=MAX_PIXELS, side=32)), images.CORNERS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(96, 64), (960, 640)], ids=["as it is", "scaled down"])
def test_picture_stands_upright(kind: str, orientation: int, size: tuple[int, int]) -> None:
    picture = picture_of(images.turned(images.corners(*size), orientation, kind), side=64)

    assert is_near(quarters(picture), images.CORNERS)
    assert (picture.width, picture.height) == size
    assert picture.image.width > picture.image.height


def test_nonsense_for_an_orientation_leaves_the_picture_as_it_is() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77

    assert is_near(quarters(picture_of(images.encoded(images.corners(), "PNG", exif=exif))), images.CORNERS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_picture_is_scaled_down_to_what_is_needed_and_never_up(kind: str) -> None:
    large = picture_of(images.encoded(images.photograph(1500, 1000), kind), side=200)
    small = picture_of(images.encoded(images.photograph(150, 100), kind), side=200)

    assert 200 <= min(large.image.size) < 400
    assert (large.width, large.height) == (1500, 1000)
    assert small.image.size == (150, 100)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
def test_what_is_transparent_is_white(kind: str) -> None:
    image = images.corners().convert("RGBA")
    image.paste((0, 0, 0, 0), (48, 0, 96, 32))
    data = images.encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))

    red, _green, blue, yellow = images.CORNERS
    assert is_near(quarters(picture_of(data)), [red, WHITE, blue, yellow])


def test_half_transparent_is_half_white() -> None:
    data = images.encoded(Image.new("RGBA", (64, 64), (255, 0, 0, 128)), "PNG")

    assert is_near([pixel(picture_of(data), 5, 5)], [(255, 127, 127)], by=2)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_colour_that_stands_for_transparent_is_white(mode: str) -> None:
    image = Image.new("RGB", (64, 64), "black").convert(mode)

    assert (
        pixel(picture_of(images.encoded(image, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)), 5, 5) == WHITE
    )


@pytest.mark.parametrize(
    "data",
    [
        images.deep_png(),
        images.deep_png(colour=True),
        images.deep_tiff(),
        images.deep_tiff(big_endian=True),
        images.grey_tiff(images.gradient().astype("<i4").tobytes(), (256, 32), bits=32, sample_format=2),
        images.grey_tiff((images.gradient() / 65535).astype("<f4").tobytes(), (256, 32), bits=32, sample_format=3),
        images.grey_tiff((images.gradient() - 7e5).astype("<f4").tobytes(), (256, 32), bits=32, sample_format=3),
        images.encoded(Image.fromarray(images.gradient(8).astype(np.uint8)), "PNG"),
    ],
    ids=["png", "colour png", "tiff", "big-endian tiff", "whole numbers", "floats to 1", "floats below 0", "8 bits"],
)
def test_gradient_of_many_shades_stays_a_gradient(data: bytes) -> None:
    row = np.asarray(picture_of(data).image)[16].astype(int)

    assert is_near(row, np.repeat(np.arange(256)[:, None], 3, axis=1), by=2)


def test_numbers_that_are_none_are_black() -> None:
    values = images.gradient().astype("<f4") / 65535
    values[:, :8] = np.nan
    values[:, 8:16] = np.inf
    picture = picture_of(images.grey_tiff(values.tobytes(), (256, 32), bits=32, sample_format=3))

    assert pixel(picture, 4, 4) == pixel(picture, 12, 4) == (0, 0, 0)
    assert is_near([pixel(picture, 255, 4)], [WHITE])


@pytest.mark.parametrize(
    "data",
    [
        images.encoded(images.corners().convert("CMYK"), "JPEG", quality=95, subsampling=0),
        images.encoded(images.corners().convert("CMYK"), "TIFF"),
        images.encoded(images.corners().convert("P"), "PNG"),
        images.encoded(images.corners().convert("YCbCr"), "TIFF"),
        images.lab_tiff(),
    ],
    ids=["cmyk jpeg", "cmyk tiff", "palette", "ycc", "lab"],
)
def test_colours_of_other_kinds_are_shown_as_they_look(data: bytes) -> None:
    assert is_near(quarters(picture_of(data)), images.CORNERS, by=25)


def test_single_bits_become_black_and_white() -> None:
    image = Image.new("1", (64, 64))
    image.paste(1, (32, 0, 64, 64))

    assert quarters(picture_of(images.encoded(image, "TIFF", compression="group4")))[:2] == [(0, 0, 0), WHITE]


def test_colours_are_turned_by_the_profile_of_the_file() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = _with_red_and_green_swapped(profile)
    plain = images.encoded(images.corners(), "PNG", icc_profile=profile)
    odd = images.encoded(images.corners(), "PNG", icc_profile=swapped)
    broken = images.encoded(images.corners(), "PNG", icc_profile=b"no profile at all" * 20)

    red, green, blue, _ = quarters(picture_of(odd))
    assert is_near(quarters(picture_of(plain)), images.CORNERS)
    assert is_near([red, green, blue], [images.CORNERS[1], images.CORNERS[0], images.CORNERS[2]], by=40)
    assert is_near(quarters(picture_of(broken)), images.CORNERS)


def _with_red_and_green_swapped(profile: bytes) -> bytes:
    return (
        profile.replace(b"rXYZ", b"tmp.").replace(b"gXYZ", b"rXYZ").replace(b"tmp.", b"gXYZ").replace(b"sRGB", b"xxxx")
    )


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_first_frame_is_used_and_it_is_said_that_there_are_more(kind: str) -> None:
    others = [Image.new("RGB", (96, 64), colour) for colour in ("black", "gray")]
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    data = images.encoded(images.corners(), kind, save_all=True, append_images=others, **options)

    picture = picture_of(data)

    assert is_near(quarters(picture), images.CORNERS)
    assert picture.frames == 3
    assert [(notice.code, notice.facts["frames"]) for notice in picture.notices] == [("image_frames_left_out", 3)]


def test_views_behind_a_photograph_are_no_frames() -> None:
    data = images.encoded(images.corners(), "MPO", save_all=True, append_images=[images.corners()])

    assert (picture_of(data).frames, picture_of(data).media_type) == (1, "image/jpeg")


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_region_is_counted_in_the_upright_picture_and_cut_at_full_size(orientation: int) -> None:
    data = images.turned(images.corners(960, 640), orientation, "JPEG")

    picture = picture_of(data, side=200, region=Region(x=490, y=10, width=460, height=300))

    assert picture.image.size == (460, 300)
    assert is_near(quarters(picture), [images.CORNERS[1]] * 4)
    assert (picture.width, picture.height) == (960, 640)


@pytest.mark.parametrize(
    "region",
    [(0, 0, 97, 64), (0, 0, 96, 65), (-1, 0, 5, 5), (0, -1, 5, 5), (96, 0, 1, 1), (0, 0, 0, 5), (0, 0, 5, -5)],
)
def test_region_outside_is_refused_and_the_size_named(region: tuple[int, int, int, int]) -> None:
    x, y, width, height = region
    with pytest.raises(InvalidInput) as caught:
        picture_of(images.encoded(images.corners(), "PNG"), region=Region(x=x, y=y, width=width, height=height))

    assert caught.value.code == "region_outside"
    assert "96 x 64" in caught.value.message()
