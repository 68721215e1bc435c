"""Zip archives, honest and hostile."""

import io
import zipfile
from collections.abc import Mapping

__all__ = ["encrypted_zip", "lying_zip", "overlapping_zip", "zip_bomb", "zip_file"]


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
