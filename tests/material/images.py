"""Image files, sound and not."""

import base64
import hashlib
import io
import struct
import zlib
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageCms

from gristmill.steps.model import Fetched

__all__ = [
    "CORNERS",
    "corners",
    "deep_png",
    "deep_tiff",
    "encoded",
    "fetched",
    "formats",
    "giant_gif",
    "giant_png",
    "gradient",
    "grey_tiff",
    "lab_tiff",
    "lying_png",
    "overflowing_gif",
    "photograph",
    "text_bomb_png",
    "turned",
]

CORNERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
"""Colours of :func:`corners`: upper left, upper right, lower left, lower right."""

_HEIC = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAGwAAgAAAAACWAABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAA"
    "kAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq"
    "5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xh"
    "cAAAADAAAAABAAAAQAAAAAH////wAAAAAgAAAAAAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEA"
    "AQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAJhtZGF0AAAAaCgBrwng5eRNS1f2Wf//fiH/+iqpjd8Vufyb9+Qb"
    "+Y9IbByr+OSEUBDgaJDLzMY44B6CHbEgr07yZY5D4CbQYf29XmaoP/0VNY3V9b31xtwXzNVGrs2mP/Sjx/SKh9Usx/tnPHldpF+A"
    "AAAABkV4aWYAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA"
)
"""Written with pillow-heif, which is no part of the tests: 64 x 48 pixels, stored on their side, as telephones do."""


def fetched(data: bytes, name: str = "picture.jpg") -> Fetched:
    """The bytes as a step gets them."""
    return Fetched(data=data, name=name, size=len(data), content_hash=hashlib.sha256(data).hexdigest())


def photograph(width: int = 512, height: int = 600) -> Image.Image:
    """A real one: Grace Hopper, in the public domain."""
    with Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg") as image:
        return image.convert("RGB").resize((width, height))


def corners(width: int = 96, height: int = 64) -> Image.Image:
    """Four quarters, each of one of the colours of :data:`CORNERS`."""
    image = Image.new("RGB", (width, height))
    for index, colour in enumerate(CORNERS):
        left, top = (index % 2) * (width // 2), (index // 2) * (height // 2)
        image.paste(colour, (left, top, left + width // 2, top + height // 2))
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file an image is saved as; ``kind`` is the library's name of the format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def formats() -> list[tuple[str, str, bytes]]:
    """Name, media type and bytes of :func:`corners` in every format; the HEIC file has 64 x 48 pixels."""
    image = corners()
    return [
        ("a.jpg", "image/jpeg", encoded(image, "JPEG", quality=95, subsampling=0)),
        ("a.png", "image/png", encoded(image, "PNG")),
        ("a.webp", "image/webp", encoded(image, "WEBP", lossless=True)),
        ("a.gif", "image/gif", encoded(image, "GIF")),
        ("a.tif", "image/tiff", encoded(image, "TIFF", compression="tiff_lzw")),
        ("a.bmp", "image/bmp", encoded(image, "BMP")),
        ("a.heic", "image/heif", base64.b64decode(_HEIC)),
        ("a.avif", "image/avif", encoded(image, "AVIF", quality=95, subsampling="4:4:4")),
    ]


def turned(image: Image.Image, orientation: int, kind: str) -> bytes:
    """``image`` stored so that only ``orientation`` tells which way is up."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = image.transpose(undo[orientation]) if orientation in undo else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, object] = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    return encoded(stored, kind, exif=exif, **options)


def gradient(bits: int = 16, width: int = 256) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint16]]":
    """Every shade from black on the left to white on the right, 32 rows high."""
    row = np.linspace(0, (1 << bits) - 1, width).astype(np.uint16)
    return np.tile(row, (32, 1))


def deep_png(*, colour: bool = False) -> bytes:
    """The gradient as PNG with 16 bits a channel."""
    rows = gradient().astype(">u2")
    if colour:
        rows = np.repeat(rows[:, :, None], 3, axis=2)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    return _png(rows.shape[1], rows.shape[0], zlib.compress(raw), depth=16, colour_type=2 if colour else 0)


def deep_tiff(*, big_endian: bool = False) -> bytes:
    """The gradient as grey TIFF with 16 bits a pixel."""
    order = ">" if big_endian else "<"
    return grey_tiff(gradient().astype(f"{order}u2").tobytes(), (256, 32), order=order, bits=16, sample_format=1)


def grey_tiff(raw: bytes, size: tuple[int, int], *, order: str = "<", bits: int, sample_format: int) -> bytes:
    """A TIFF of one strip of grey samples; ``sample_format`` is 1 for whole numbers, 2 for signed ones, 3 for floats."""
    entries = [
        (256, 4, size[0]),
        (257, 4, size[1]),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, size[1]),
        (279, 4, len(raw)),
        (339, 3, sample_format),
    ]
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, value in entries:
        packed = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
        directory += struct.pack(f"{order}HHI", tag, kind, 1) + packed
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", 8 + len(raw)) + raw + directory + bytes(4)


def lab_tiff() -> bytes:
    """:func:`corners` in the colour space of TIFF that separates lightness from colour."""
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    image = ImageCms.applyTransform(corners(), to_lab)
    assert image is not None
    return encoded(image, "TIFF")


def giant_png(side: int = 30_000) -> bytes:
    """A sound black PNG of ``side`` times ``side`` pixels: about 100 KB for 30 000."""
    packer = zlib.compressobj(9)
    row = bytes(1 + -(-side // 8))
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return _png(side, side, packed, depth=1, colour_type=0)


def lying_png(width: int, height: int) -> bytes:
    """A PNG whose header promises what its data do not hold."""
    return _png(width, height, zlib.compress(bytes(100)), depth=8, colour_type=2)


def text_bomb_png(megabytes: int = 200) -> bytes:
    """A small PNG with a note that unpacks to far more."""
    note = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(megabytes << 20), 9))
    sound = encoded(corners(), "PNG")
    return sound[:33] + note + sound[33:]


def giant_gif() -> bytes:
    """A GIF of 30 bytes with a screen of four thousand million pixels."""
    return b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + bytes(6) + _GIF_FRAME + b";"


def overflowing_gif() -> bytes:
    """A GIF of one pixel whose first frame is far larger than that."""
    frame = b"," + struct.pack("<HHHH", 0, 0, 65535, 65535) + _GIF_FRAME[9:]
    return b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0" + bytes(6) + frame + b";"


_GIF_FRAME = b"," + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"


def _png(width: int, height: int, packed: bytes, *, depth: int, colour_type: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
