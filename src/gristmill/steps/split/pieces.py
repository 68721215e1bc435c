"""From a bare stretch of text to a piece: trimmed, overlapping its predecessor, with its place in the document."""

import re
from bisect import bisect_right

from gristmill.steps.model import Piece
from gristmill.steps.split.borders import Rank, joins, structure
from gristmill.steps.split.layout import Layout, Region

__all__ = ["piece_of"]

_BLANK = re.compile(r"\s+")


def piece_of(
    layout: Layout, region: Region, start: int, end: int, *, chunk_size: int, chunk_overlap: int
) -> Piece | None:
    """The piece for the stretch ``start`` to ``end``; nothing for white space alone."""
    stretch = layout.text[start:end]
    start += len(stretch) - len(stretch.lstrip())
    end -= len(stretch) - len(stretch.rstrip())
    if start >= end:
        return None
    room = min(chunk_overlap, chunk_size - (end - start))
    start = _overlapping(layout, region, start, room)
    return Piece(
        text=layout.text[start:end],
        start=start,
        end=end,
        page=layout.page_at(start),
        headings=layout.path_at(start, region),
        part=region.part,
    )


def _overlapping(layout: Layout, region: Region, start: int, room: int) -> int:
    """An earlier start within ``room``, at a sentence or else a word; never above the heading in force."""
    index = bisect_right(layout.heading_starts, start) - 1
    heading = layout.heading_starts[index] if index >= 0 else 0
    earliest = max(start - room, region.start, heading)
    if earliest in {region.start, heading}:
        return _not_blank(layout.text, earliest, start)
    for position, rank in structure(layout, earliest, start):
        if rank <= Rank.BLOCK_LINE:
            return position
    if layout.block_at(start) is not None:
        return start
    blank = _BLANK.search(layout.text, earliest, start)
    if blank:
        return blank.end()
    while earliest < start and joins(layout.text, earliest):
        earliest += 1
    return earliest


def _not_blank(text: str, start: int, end: int) -> int:
    blank = _BLANK.match(text, start, end)
    return blank.end() if blank else start
