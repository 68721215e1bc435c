"""The structure of one text, in the form the splitter asks for it: regions, headings, protected blocks, pages.

Built once per document; everything else in this package reads it and adds nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from gristmill.steps.model import Heading, Page, Parsed, Part

__all__ = ["Layout", "Region"]

_FENCE = re.compile(r"^[ \t]{0,3}(?P<mark>`{3,}|~{3,})[^\n]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A stretch that no piece may leave: one archive member, or the text outside of them."""

    start: int
    end: int
    part: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A text with its structure as sorted, non-overlapping lists."""

    text: str
    limit: int
    """Most characters of a piece before overlap is added."""
    regions: tuple[Region, ...]
    heading_starts: tuple[int, ...]
    headings: tuple[Heading, ...]
    paths: tuple[tuple[str, ...], ...]
    """For each heading, the titles from the outermost one down to it."""
    bodies: tuple[int, ...]
    """For each heading, where the text under its line begins."""
    block_starts: tuple[int, ...]
    block_ends: tuple[int, ...]
    """Tables and fenced code, which should stay whole."""
    page_starts: tuple[int, ...]
    pages: tuple[Page, ...]

    @classmethod
    def of(cls, parsed: Parsed, *, limit: int) -> Self:
        """Prepare ``parsed``; structure that points outside of the text is clipped."""
        text = parsed.text
        headings = tuple(sorted((h for h in parsed.headings if 0 <= h.start < len(text)), key=lambda h: h.start))
        pages = tuple(sorted(parsed.pages, key=lambda page: page.start))
        blocks = list(_merged([*((table.start, table.end) for table in parsed.tables), *_fences(text)]))
        return cls(
            text=text,
            limit=limit,
            regions=tuple(_regions(parsed.parts, len(text))),
            heading_starts=tuple(heading.start for heading in headings),
            headings=headings,
            paths=tuple(_paths(headings)),
            bodies=tuple(_body(text, heading.start) for heading in headings),
            block_starts=tuple(start for start, _ in blocks),
            block_ends=tuple(end for _, end in blocks),
            page_starts=tuple(page.start for page in pages),
            pages=pages,
        )

    def path_at(self, position: int, region: Region) -> tuple[str, ...]:
        """Titles of the headings that ``position`` stands under, within its region."""
        index = bisect_right(self.heading_starts, position) - 1
        if index < 0 or self.heading_starts[index] < region.start:
            return ()
        return self.paths[index]

    def page_at(self, position: int) -> int | None:
        """Number of the page that holds ``position``; between two pages, the one before."""
        index = bisect_right(self.page_starts, position) - 1
        return self.pages[index].number if index >= 0 else None

    def block_at(self, position: int) -> tuple[int, int] | None:
        """The table or fence whose inside holds ``position``; its first character is not inside."""
        index = bisect_right(self.block_starts, position) - 1
        if index < 0 or not self.block_starts[index] < position < self.block_ends[index]:
            return None
        return self.block_starts[index], self.block_ends[index]

    def begins_block(self, position: int) -> bool:
        """Whether a table or fence begins exactly at ``position``."""
        index = bisect_right(self.block_starts, position) - 1
        return index >= 0 and self.block_starts[index] == position


def _regions(parts: Iterable[Part], length: int) -> Iterator[Region]:
    position = 0
    for part in sorted(parts, key=lambda part: part.start):
        start, end = max(part.start, position), min(part.end, length)
        if start >= end:
            continue
        if position < start:
            yield Region(start=position, end=start, part=None)
        yield Region(start=start, end=end, part=part.path)
        position = end
    if position < length:
        yield Region(start=position, end=length, part=None)


def _paths(headings: Iterable[Heading]) -> Iterator[tuple[str, ...]]:
    above: list[Heading] = []
    for heading in headings:
        while above and above[-1].level >= heading.level:
            above.pop()
        above.append(heading)
        yield tuple(one.title for one in above)


def _body(text: str, start: int) -> int:
    line_end = text.find("\n", start)
    if line_end < 0:
        return len(text)
    body = re.compile(r"\s*").match(text, line_end)
    return body.end() if body else line_end


def _fences(text: str) -> Iterator[tuple[int, int]]:
    """Fenced code from the opening line to the closing one; a fence that is never closed is ordinary text."""
    opening: re.Match[str] | None = None
    for match in _FENCE.finditer(text):
        if opening is None:
            opening = match
        elif match["mark"].startswith(opening["mark"]):
            yield opening.start(), match.end()
            opening = None


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    current: tuple[int, int] | None = None
    for start, end in sorted(spans):
        if current is not None and start < current[1]:
            current = current[0], max(current[1], end)
            continue
        if current is not None:
            yield current
        current = start, end
    if current is not None:
        yield current
