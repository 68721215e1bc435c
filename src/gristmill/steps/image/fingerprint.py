"""Fingerprints by which copies of a picture are known: scaled, compressed again, or with other colours.

The difference hash of N. Krawetz ("Kind of Like That", 2013), with 256 bits: whether each of 16 x 16 places is brighter
than the place to its left. Cut and turned copies have others; for those there are embeddings.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BITS", "difference_hash", "distance"]

_ROWS = 16
BITS = _ROWS * _ROWS


def difference_hash(image: "Image") -> str:
    """The fingerprint of ``image``, 64 hexadecimal digits; that of its thumbnail differs in a few bits."""
    import numpy as np
    from PIL.Image import Resampling

    # Over the whole of each place, and grey before: or else the size of the picture would show in the fingerprint.
    grey = np.asarray(image.convert("L").resize((_ROWS + 1, _ROWS), Resampling.BILINEAR))
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()


def distance(one: str, other: str) -> int:
    """In how many of their :data:`BITS` two fingerprints differ: 0 for copies, about half of them for strangers."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
