"""The one place that chooses a decoder, and that turns whatever decoders raise into our errors.

The classes of the formats we read are used directly: the library's own ``open`` tries dozens of rarely examined
decoders, follows registrations of other code, and warns through a filter that all threads share.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from gristmill.errors import GristmillError, StepFailed
from gristmill.steps.image.formats import HEAD_BYTES, ImageFormat, format_of, unsupported_format_of
from gristmill.steps.image.heif import heif_decoder

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["damage_told", "open_image"]

_CUT = ("truncated", "end of file", "unexpected end", "not enough data", "eof")
"""What decoders say of a file that ends too early."""
_UNFOLDING = ("decompressed data too large", "too much memory used")
"""What they say of notes that unpack to far more than their size."""


def open_image(file: IO[bytes], *, name: str, max_pixels: int) -> tuple["ImageFile", ImageFormat]:
    """The image whose header is read, and whose pixels are not yet.

    Raises ``StepFailed`` for what is not an image, not one of our formats, damaged, or larger than ``max_pixels``
    by its header.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if not head:
        raise StepFailed("image_empty", name=name)
    kind = format_of(head)
    if kind is None:
        raise _not_ours(head, name)
    if kind is ImageFormat.WEBP and _is_cut_webp(head, file):
        raise StepFailed("image_truncated", name=name, format=kind.name)
    decoder = _decoder(kind)
    with damage_told(name, kind):
        image = decoder(file)
        width, height = image.size
        if width * height > max_pixels:
            raise StepFailed("image_too_large", name=name, width=width, height=height, max_pixels=max_pixels)
        if width < 1 or height < 1:
            raise StepFailed("image_damaged", name=name, format=kind.name)
    return image, kind


@contextmanager
def damage_told(name: str, kind: ImageFormat) -> Iterator[None]:
    """Whatever a decoder raises, as ``StepFailed``; what it says itself may name memory and files, and is not kept."""
    try:
        yield
    except GristmillError:
        raise
    except Exception as error:  # Hostile bytes raise anything, from IndexError to MemoryError.
        from PIL import Image

        text = str(error).lower()
        # Frames, tiles and notes that are far larger than the header let expect, and WebP by its header.
        if isinstance(error, Image.DecompressionBombError) or any(words in text for words in _UNFOLDING):
            raise StepFailed("image_unfolds", name=name, format=kind.name) from error
        cut = isinstance(error, EOFError) or any(word in text for word in _CUT)
        raise StepFailed("image_truncated" if cut else "image_damaged", name=name, format=kind.name) from error


def _not_ours(head: bytes, name: str) -> StepFailed:
    other = unsupported_format_of(head)
    if other is None:
        return StepFailed("image_unreadable", name=name)
    return StepFailed("image_format_unsupported", name=name, format=other)


def _decoder(kind: ImageFormat) -> Callable[[IO[bytes]], "ImageFile"]:
    try:
        from PIL import (
            AvifImagePlugin,
            BmpImagePlugin,
            GifImagePlugin,
            JpegImagePlugin,
            PngImagePlugin,
            TiffImagePlugin,
            WebPImagePlugin,
        )
    except ImportError as error:
        raise StepFailed("extra_missing", feature="images", extra="images") from error
    if kind is ImageFormat.HEIF:
        return _heif_decoder()
    # Workers run side by side, one per core.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    decoders: dict[ImageFormat, Callable[[IO[bytes]], ImageFile]] = {
        ImageFormat.JPEG: JpegImagePlugin.JpegImageFile,
        ImageFormat.PNG: PngImagePlugin.PngImageFile,
        ImageFormat.WEBP: WebPImagePlugin.WebPImageFile,
        ImageFormat.GIF: GifImagePlugin.GifImageFile,
        ImageFormat.TIFF: TiffImagePlugin.TiffImageFile,
        ImageFormat.BMP: BmpImagePlugin.BmpImageFile,
        ImageFormat.AVIF: AvifImagePlugin.AvifImageFile,
    }
    return decoders[kind]


def _heif_decoder() -> Callable[[IO[bytes]], "ImageFile"]:
    try:
        return heif_decoder()
    except ImportError as error:
        raise StepFailed("extra_missing", feature="HEIC", extra="images") from error


def _is_cut_webp(head: bytes, file: IO[bytes]) -> bool:
    # Its decoder does not say what is wrong; the file says how long it should be.
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size < int.from_bytes(head[4:8], "little") + 8
