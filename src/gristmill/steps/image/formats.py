"""The image formats Gristmill reads, told by name and by content.

Standard library only, because the API looks at names too.
"""

import os
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path, PurePath

__all__ = [
    "HEAD_BYTES",
    "IMAGE_MEDIA_TYPES",
    "IMAGE_SUFFIXES",
    "ImageFormat",
    "format_of",
    "is_image_name",
    "unsupported_format_of",
    "walk_images",
]

HEAD_BYTES = 1024
"""How much of a file tells its format."""


class ImageFormat(StrEnum):
    """A kind of image file that has its own decoder."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"
    TIFF = "tiff"
    BMP = "bmp"
    HEIF = "heif"
    AVIF = "avif"

    @property
    def media_type(self) -> str:
        """What the web calls it."""
        return f"image/{self.value}"


IMAGE_MEDIA_TYPES = frozenset({kind.media_type for kind in ImageFormat} | {"image/heic", "image/jpg"})
"""What sources call images we read."""

IMAGE_SUFFIXES: Mapping[str, ImageFormat] = {
    ".avif": ImageFormat.AVIF,
    ".bmp": ImageFormat.BMP,
    ".gif": ImageFormat.GIF,
    ".heic": ImageFormat.HEIF,
    ".heif": ImageFormat.HEIF,
    ".hif": ImageFormat.HEIF,
    ".jfif": ImageFormat.JPEG,
    ".jpe": ImageFormat.JPEG,
    ".jpeg": ImageFormat.JPEG,
    ".jpg": ImageFormat.JPEG,
    ".png": ImageFormat.PNG,
    ".tif": ImageFormat.TIFF,
    ".tiff": ImageFormat.TIFF,
    ".webp": ImageFormat.WEBP,
}

_STARTS: Mapping[bytes, ImageFormat] = {
    b"\xff\xd8\xff": ImageFormat.JPEG,
    b"\x89PNG\r\n\x1a\n": ImageFormat.PNG,
    b"GIF87a": ImageFormat.GIF,
    b"GIF89a": ImageFormat.GIF,
    b"II*\0": ImageFormat.TIFF,
    b"MM\0*": ImageFormat.TIFF,
    b"II+\0": ImageFormat.TIFF,
    b"MM\0+": ImageFormat.TIFF,
}

_BITMAP_HEADER_BYTES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})

_UNSUPPORTED_STARTS: Mapping[bytes, str] = {
    b"8BPS": "PSD",
    b"\0\0\1\0": "ICO",
    b"icns": "ICNS",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"%!PS": "EPS",
    b"\xc5\xd0\xd3\xc6": "EPS",
    b"%PDF": "PDF",
    b"DDS ": "DDS",
    b"gimp xcf": "XCF",
    b"qoif": "QOI",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "HDR",
    b"\xd7\xcd\xc6\x9a": "WMF",
    b"SIMPLE  =": "FITS",
    b"AT&TFORM": "DjVu",
}

_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_PORTABLE = re.compile(rb"P[1-7]\s")


def format_of(head: bytes) -> ImageFormat | None:
    """The format of a file that begins with ``head`` (:data:`HEAD_BYTES` or all of it); None if it is not one of ours."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if head[4:8] == b"ftyp":
        return _brand_of(head)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BITMAP_HEADER_BYTES:
        # Two letters alone may begin any text.
        return ImageFormat.BMP
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), None)


def unsupported_format_of(head: bytes) -> str | None:
    """The name of a picture format that we do not read; None if it is no such either."""
    if _SVG.search(head) and head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "SVG"
    if _PORTABLE.match(head):
        return "PNM"
    return next((name for start, name in _UNSUPPORTED_STARTS.items() if head.startswith(start)), None)


def is_image_name(name: str) -> bool:
    """Whether a file of that name should be an image we read."""
    return PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def walk_images(folder: Path) -> Iterator[Path]:
    """The images below ``folder``, told by name, in a stable order; hidden files and folders are passed over."""
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and is_image_name(name):
                yield Path(directory) / name


def _brand_of(head: bytes) -> ImageFormat | None:
    # The general brands say nothing of the coding; the list of compatible ones behind them does.
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[start : start + 4] for start in (8, *range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return ImageFormat.AVIF
    return ImageFormat.HEIF if brands & _HEIF_BRANDS else None
