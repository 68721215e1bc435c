"""From the bytes of an image file to a picture: upright, RGB, and no larger than what comes next needs."""

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from gristmill.errors import InvalidInput
from gristmill.steps.image.colour import reducible, shown
from gristmill.steps.image.formats import ImageFormat
from gristmill.steps.image.opening import damage_told, open_image
from gristmill.steps.image.regions import Region
from gristmill.steps.model import Fetched, Notice

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

__all__ = ["Picture", "Region", "decode"]

_ORIENTATION = 0x0112
_TURNS: Mapping[int, str] = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What puts an image upright, by its orientation as EXIF numbers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A decoded image."""

    image: "Image" = field(repr=False)
    """Upright, RGB; where the original allows, its shorter side is at least what was asked for."""
    width: int
    """Of the upright original, in pixels; so is ``height``."""
    height: int
    media_type: str
    """By content, whatever the name says."""
    frames: int
    """Frames of an animation or pages; the picture is the first, or the one the file names as its own."""
    notices: tuple[Notice, ...] = ()


def decode(fetched: Fetched, *, max_pixels: int, side: int, region: Region | None = None) -> Picture:
    """The picture in ``fetched``, or the ``region`` of it, scaled down to a shorter side of ``side`` pixels or little more.

    It is never scaled up. Raises ``StepFailed`` for what cannot be decoded, or has more than ``max_pixels`` pixels, and
    ``InvalidInput`` for a region that reaches outside the picture.
    """
    with _bytes_of(fetched) as file:
        image, kind = open_image(file, name=fetched.name, max_pixels=max_pixels)
        with damage_told(fetched.name, kind), image:
            stored = image.size
            frames = _frames(image, kind)
            if region is None:
                # Decodes fewer of the coefficients; it is the one decoder that can.
                image.draft(None, (side, side))
            image.load()
            orientation = _orientation(image)
            width, height = stored if orientation < 5 else (stored[1], stored[0])
            profile = image.info.get("icc_profile")
            pixels = reducible(image)
            if region is not None:
                _check_inside(region, width, height)
                pixels = _cut(_upright(pixels, orientation), region)
                orientation = 1
            pixels = shown(_reduced(pixels, side), profile)
            pixels = _upright(pixels, orientation)
            if pixels is image:
                # The file's own object would hold on to its bytes.
                pixels = image.copy()
    return Picture(
        image=pixels,
        width=width,
        height=height,
        media_type=kind.media_type,
        frames=frames,
        notices=_notices(fetched.name, frames),
    )


def _bytes_of(fetched: Fetched) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(io.BytesIO(fetched.data)) if fetched.path is None else fetched.path.open("rb")


def _frames(image: "ImageFile", kind: ImageFormat) -> int:
    # Behind the first picture of a JPEG file there may be others, which are views of the same.
    return 1 if kind is ImageFormat.JPEG else max(1, int(getattr(image, "n_frames", 1)))


def _orientation(image: "ImageFile") -> int:
    """1-8; asked when the pixels are there, because some formats note it behind them or turn the image themselves."""
    try:
        found = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - a note beside the picture, however broken, must not cost the picture
        return 1
    return found if isinstance(found, int) and found in _TURNS else 1


def _upright(image: "Image", orientation: int) -> "Image":
    from PIL.Image import Transpose

    return image.transpose(Transpose[_TURNS[orientation]]) if orientation in _TURNS else image


def _reduced(image: "Image", side: int) -> "Image":
    # Whole factors average pixels exactly, and take a tenth of the time of a finer scaling.
    factor = min(image.size) // side
    return image.reduce(factor) if factor > 1 else image


def _check_inside(region: Region, width: int, height: int) -> None:
    inside = (
        region.x >= 0
        and region.y >= 0
        and region.width >= 1
        and region.height >= 1
        and region.x + region.width <= width
        and region.y + region.height <= height
    )
    if not inside:
        given = f"{region.x},{region.y},{region.width},{region.height}"
        raise InvalidInput("region_outside", field="region", region=given, width=width, height=height)


def _cut(image: "Image", region: Region) -> "Image":
    return image.crop((region.x, region.y, region.x + region.width, region.y + region.height))


def _notices(name: str, frames: int) -> tuple[Notice, ...]:
    return (Notice(code="image_frames_left_out", facts={"name": name, "frames": frames}),) if frames > 1 else ()
