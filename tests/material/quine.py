"""A zip archive whose only member is the archive itself, byte for byte: whoever unpacks what is inside never ends.

The deflate stream has two instructions: print what follows (a stored block) and repeat what was printed last (a block
with one fixed code). As in any program that prints itself, it prints its instructions along with their data. The
checksum stands inside what it sums up; as it is linear in every bit, 32 equations find it.
"""

import struct
import zlib

__all__ = ["quine_zip"]

_NAME = b"quine.zip"
_HEAD_BYTES = 60
"""Head and the instruction behind it are then 65 bytes, which one repetition says in five."""


def quine_zip() -> bytes:
    """The archive."""
    empty = _archive(0)
    nothing = zlib.crc32(empty)
    # Column by column, what one bit of the checksum does to the checksum of the whole; the rest is elimination.
    rows = [(zlib.crc32(_archive(1 << bit)) ^ nothing ^ 1 << bit, 1 << bit) for bit in range(32)]
    wanted, checksum = nothing, 0
    for bit in reversed(range(32)):
        pivot = next((row for row in rows if row[0] >> bit & 1), None)
        if pivot is None:
            continue
        rows = [(a ^ pivot[0], b ^ pivot[1]) if a >> bit & 1 else (a, b) for a, b in rows if (a, b) != pivot]
        if wanted >> bit & 1:
            wanted, checksum = wanted ^ pivot[0], checksum ^ pivot[1]
    assert not wanted
    return _archive(checksum)


def _archive(checksum: int) -> bytes:
    size = len(_built(0, 0, 0))
    head, tail = _HEAD_BYTES, len(_tail(0, 0, 0))
    return _built(checksum, size - head - tail, size)


def _built(checksum: int, packed: int, size: int) -> bytes:
    head, tail = _head(checksum, packed, size), _tail(checksum, packed, size)
    after_head = _print(len(head) + 5)
    again = _repeat(len(head) + 5)
    last = _repeat_at_end(tail)
    before_last = _print(len(last) + len(tail))
    one, four, four_again, none = _print(5), _print(20), _repeat(20), _print(0)
    return b"".join(
        [
            *(head, after_head, head, after_head, again),
            *(one, again, one, one, four, again, one, one, four, four_again),
            *(four, four_again, four, four_again, four, four_again),
            *(four, four_again, none, none, before_last, four_again, none, none),
            *(before_last, last, tail, last, tail),
        ]
    )


def _head(checksum: int, packed: int, size: int) -> bytes:
    filling = _HEAD_BYTES - 30 - len(_NAME)
    fields = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 33, checksum, packed, size, len(_NAME), filling)
    return fields + _NAME + struct.pack("<HH", 0xFFFF, filling - 4) + bytes(filling - 4)


def _tail(checksum: int, packed: int, size: int) -> bytes:
    fields = struct.pack(
        "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 8, 0, 33, checksum, packed, size, len(_NAME), *[0] * 6
    )
    entry = fields + _NAME
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(entry), size - len(entry) - 22 if size else 0, 0)
    return entry + end


def _print(count: int) -> bytes:
    """Print the ``count`` bytes that follow."""
    return struct.pack("<BHH", 0, count, count ^ 0xFFFF)


def _repeat(count: int) -> bytes:
    """Print the last ``count`` bytes, 20 or 65, once more. The instruction must have five bytes whatever it says."""
    if count == 20:
        return _whole_bytes(_block([10, 10], distance=20))
    return _whole_bytes(_block([count], distance=count) + _block([], distance=0))


def _repeat_at_end(tail: bytes) -> bytes:
    """Print the last bytes, as many as this instruction and ``tail`` have together, once more, and end."""
    count = len(tail)
    while True:
        made = _whole_bytes(_block([count], distance=count, is_last=True))
        if len(made) + len(tail) == count:
            return made
        count += 1


def _block(lengths: list[int], *, distance: int, is_last: bool = False) -> str:
    """The bits of a deflate block with the fixed code: copies of ``lengths`` from ``distance`` bytes back, and its end."""
    symbols = "".join(_length(length) + _place(distance) for length in lengths)
    return f"{is_last:d}10{symbols}{0:07b}"


def _length(length: int) -> str:
    first, extra, symbol = 3, 0, 257
    while length >= first + (1 << extra):
        first += 1 << extra
        symbol += 1
        extra = max((symbol - 261) // 4, 0)
    return (f"{symbol - 256:07b}" if symbol < 280 else f"{symbol - 88:08b}") + _extra(length - first, extra)


def _place(distance: int) -> str:
    first, extra, symbol = 1, 0, 0
    while distance >= first + (1 << extra):
        first += 1 << extra
        symbol += 1
        extra = max(symbol // 2 - 1, 0)
    return f"{symbol:05b}" + _extra(distance - first, extra)


def _extra(value: int, bits: int) -> str:
    # Codes stand with their highest bit first, the numbers behind them with their lowest.
    return f"{value:0{bits}b}"[::-1] if bits else ""


def _whole_bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))
