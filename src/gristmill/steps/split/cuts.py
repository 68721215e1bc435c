"""Which borders become cuts, such that an edit moves only the cuts next to it.

Content-defined chunking. A border is a cut when no border within half the limit has a better key: local-extremum
chunking (Bjorner, Blass, Gurevich: "Content-dependent chunking for differential compression, the local maximum
approach", 2010). It looks at no other cut, so an edit cannot reach farther than that distance; cutting greedily from
the start would move every border below the edit. Stretches that stay too long (repetitive text has few strict
extremes) are cut from their left end at the best border between a minimum and a maximum size, the bounded window of
FastCDC (Xia et al., 2016), which falls back into step after a few pieces.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from gristmill.steps.split.borders import borders, joins
from gristmill.steps.split.layout import Layout, Region

__all__ = ["cores"]

_SLAB = 4_000_000
"""Characters looked at together; bounds the memory that a huge document needs."""


def cores(layout: Layout, region: Region) -> Iterator[tuple[int, int]]:
    """The region cut into consecutive stretches of at most ``layout.limit`` characters, without overlap."""
    start = region.start
    while region.end - start > layout.limit:
        slab_end = min(start + _SLAB, region.end)
        positions, keys = borders(layout, start, slab_end)
        cuts = _sized(layout, positions, keys, start, slab_end)
        if slab_end < region.end:
            # The cuts near the slab's end have not seen what follows: the next slab decides them again.
            cuts = cuts[: max(1, bisect_right(cuts, slab_end - 8 * layout.limit))]
        for cut in cuts:
            yield start, cut
            start = cut
        if slab_end == region.end:
            break
    if start < region.end:
        yield start, region.end


def _sized(layout: Layout, positions: list[int], keys: list[int], start: int, end: int) -> list[int]:
    cuts: list[int] = []
    left = start
    for right in [*_extremes(positions, keys, layout.limit, start, end), end]:
        while right - left > layout.limit:
            left = _best(layout, positions, keys, left, right)
            cuts.append(left)
        left = right
        cuts.append(right)
    cuts.pop()
    return cuts


def _extremes(positions: list[int], keys: list[int], limit: int, start: int, end: int) -> list[int]:
    """Borders that are better than every other within half the limit; of equals, the leftmost."""
    reach = limit // 2
    shortest = limit // 4
    alone_on_left = [True] * len(positions)
    alone_on_right = [True] * len(positions)
    stack: list[int] = []
    for index, key in enumerate(keys):
        position = positions[index]
        while stack and keys[stack[-1]] > key:
            worse = stack.pop()
            alone_on_right[worse] = position - positions[worse] > reach
        if stack:
            alone_on_left[index] = position - positions[stack[-1]] > reach
        stack.append(index)
    return [
        position
        for position, left, right in zip(positions, alone_on_left, alone_on_right, strict=True)
        if left and right and position - start >= shortest and end - position >= shortest
    ]


def _best(layout: Layout, positions: list[int], keys: list[int], left: int, right: int) -> int:
    """The best border to end a piece that begins at ``left``, leaving no crumb before ``right``."""
    limit = layout.limit
    latest = min(left + limit, right - limit // 4)
    last = bisect_right(positions, latest)
    for earliest in (left + limit // 2, left + limit // 4, left + 1):
        first = bisect_left(positions, earliest)
        if first < last:
            # Of equals the last one: repetitive text gets full pieces.
            return positions[min(range(first, last), key=lambda index: (keys[index], -index))]
    cut = left + limit
    for shorter in range(cut, max(cut - 16, left + 1), -1):
        if not joins(layout.text, shorter):
            return shorter
    return cut
