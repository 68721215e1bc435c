"""Images of any size as the square that a model sees."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["middle", "whole"]

_GAP = 2.0
"""A large image is halved cheaply down to this many times the side, and only then resized well: nobody sees it."""


def whole(image: "Image", side: int) -> "Image":
    """All of ``image``, out of proportion: what stands at its ends is found as well as what stands in the middle."""
    from PIL.Image import Resampling

    return image.resize((side, side), Resampling.BICUBIC, reducing_gap=_GAP)


def middle(image: "Image", side: int) -> "Image":
    """The middle of ``image`` in proportion, as CLIP and its kin were trained."""
    from PIL.Image import Resampling

    width, height = image.size
    shorter = min(width, height)
    left, top = (width - shorter) / 2, (height - shorter) / 2
    box = (left, top, left + shorter, top + shorter)
    return image.resize((side, side), Resampling.BICUBIC, box=box, reducing_gap=_GAP)
