"""From whatever a file stores for its pixels to red, green and blue of 8 bits each, as a screen would show them."""

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["reducible", "shown"]

_RANGES = (255.0, 65535.0)
_MOST_PROFILE_BYTES = 4 << 20


def reducible(image: "Image") -> "Image":
    """The image in a form whose neighbouring pixels can be averaged: no palette, no single bits, no 16-bit words."""
    if image.mode.startswith("I;16"):
        return _high_bytes(image)
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGB") if image.mode == "P" else image


def shown(image: "Image", profile: object) -> "Image":
    """A reducible image as RGB: transparency on white, ``profile`` (the file's ICC profile, if any) to sRGB."""
    from PIL import Image

    if image.mode in {"I", "F"}:
        image = _spread(image)
    if image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    if image.mode == "LAB":
        return _converted(image, None)
    if isinstance(profile, bytes) and b"sRGB" not in profile and len(profile) <= _MOST_PROFILE_BYTES:
        image = _converted(image, profile)
    return image if image.mode == "RGB" else image.convert("RGB")


def _high_bytes(image: "Image") -> "Image":
    import numpy as np
    from PIL import Image

    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _spread(image: "Image") -> "Image":
    """Numbers of any range as grey: of the smallest usual range that holds them, or from their least to their largest."""
    import numpy as np
    from PIL import Image

    ranges = (1.0, *_RANGES) if image.mode == "F" else _RANGES
    values = np.asarray(image, dtype=np.float64)
    finite = np.isfinite(values)
    values = np.where(finite, values, 0.0)
    least, largest = float(values.min()), float(values.max())
    full = next((full for full in ranges if least >= 0 and largest <= full), None)
    if full is not None:
        least, largest = 0.0, full
    scaled = (values - least) * (255.0 / max(largest - least, 1e-300))
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))


def _converted(image: "Image", profile: bytes | None) -> "Image":
    """By colour management; as it is where the profile is broken or not one for such pixels."""
    from PIL import ImageCms

    try:
        converted = ImageCms.applyTransform(image, _transform(profile, image.mode))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return image if converted is None else converted


@lru_cache(maxsize=8)
def _transform(profile: bytes | None, mode: str) -> Any:
    # Building one takes longer than using it on a small image, and the photographs of a folder share theirs.
    from PIL import ImageCms

    source = ImageCms.createProfile("LAB") if profile is None else ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
