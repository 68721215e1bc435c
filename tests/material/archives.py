"""Zip archives, honest and hostile."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

__all__ = ["encrypted_zip", "lying_zip", "overlapping_zip", "quoting_zip", "zip_bomb", "zip_file"]


def zip_file(members: Mapping[str, bytes]) -> bytes:
    """An archive of ``members``, in order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def zip_bomb(megabytes: int = 64, name: str = "bomb.txt") -> bytes:
    """A small archive that unpacks to ``megabytes`` of one letter."""
    return zip_file({name: b"a" * (megabytes << 20)})


def lying_zip(name: str, data: bytes, *, claimed: int) -> bytes:
    """An archive whose only member claims to unpack to ``claimed`` bytes."""
    packed = bytearray(zip_file({name: data}))
    local, central = 22, packed.index(b"PK\x01\x02") + 24
    for offset in (local, central):
        packed[offset : offset + 4] = claimed.to_bytes(4, "little")
    return bytes(packed)


def encrypted_zip(name: str, data: bytes) -> bytes:
    """An archive whose only member carries the mark of encryption."""
    packed = bytearray(zip_file({name: data}))
    for offset in (6, packed.index(b"PK\x01\x02") + 8):
        packed[offset] |= 1
    return bytes(packed)


def overlapping_zip(name: str, data: bytes, *, copies: int) -> bytes:
    """An archive whose directory lists the same bytes ``copies`` times, as a quine-like bomb does."""
    packed = zip_file({name: data})
    start = packed.index(b"PK\x01\x02")
    end = packed.index(b"PK\x05\x06")
    entry = packed[start:end]
    tail = bytearray(packed[end:])
    tail[8:10] = tail[10:12] = copies.to_bytes(2, "little")
    tail[12:16] = (len(entry) * copies).to_bytes(4, "little")
    return packed[:start] + entry * copies + bytes(tail)


def quoting_zip(*, members: int, megabytes: int = 21) -> bytes:
    """An archive whose members overlap: each quotes the head of the next, and all end in the same packed bytes.

    Nothing in it lies, every checksum is right, and no two entries of the directory are the same.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    kernel = b"a" * (megabytes << 20)
    packed = packer.compress(kernel) + packer.flush()
    checksum, size = zlib.crc32(kernel), len(kernel)
    files = b""
    directory: list[tuple[bytes, int]] = []
    for number in reversed(range(members)):
        name = f"{number:03}.txt".encode()
        if files:
            quoted = files[: 30 + len(name)]
            packed = struct.pack("<BHH", 0, len(quoted), len(quoted) ^ 0xFFFF) + files
            checksum = _crc_of_both(zlib.crc32(quoted), checksum, size)
            size += len(quoted)
        fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, checksum, len(packed), size, len(name), 0)
        files = b"PK\x03\x04" + fields + name + packed
        directory.append((b"PK\x01\x02" + struct.pack("<H", 20) + fields, len(files)))
        packed = files[30 + len(name) :]
    entries = b"".join(
        fields + struct.pack("<HHHII", 0, 0, 0, 0, len(files) - start) + f"{number:03}.txt".encode()
        for (fields, start), number in zip(directory, reversed(range(members)), strict=True)
    )
    end = struct.pack("<HHHHIIH", 0, 0, members, members, len(entries), len(files), 0)
    return files + entries + b"PK\x05\x06" + end


def _crc_of_both(first: int, second: int, second_size: int) -> int:
    """The checksum of two stretches from theirs."""
    # That of zeros tells what passing over the second stretch does to the first, whatever it holds.
    return _over_zeros(first, second_size) ^ second


def _over_zeros(checksum: int, count: int) -> int:
    zeros = bytes(count)
    return zlib.crc32(zeros, checksum) ^ zlib.crc32(zeros)
