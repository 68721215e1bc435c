"""Which parts of two sequences are the same, in a time that grows with their length whatever they hold.

Difflib alone takes minutes for two pages of the same few signs. Entries that both sequences have exactly once are
matched first, as in Bram Cohen's patience diff; difflib is left the short stretches between them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import count, takewhile

__all__ = ["Span", "aligned"]

_SHORT = 4096
"""Pairs of entries that difflib may be asked to compare: about a millisecond at worst."""
_DEEPEST = 8
"""How often what lies between two matches is looked through for more."""


@dataclass(frozen=True, slots=True)
class Span:
    """``old[first:last]`` is, or became, ``new[new_first:new_last]``."""

    first: int
    last: int
    new_first: int
    new_last: int
    is_same: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it has nothing on either side."""
        return self.first == self.last and self.new_first == self.new_last


def aligned(old: Sequence[str], new: Sequence[str]) -> list[Span]:
    """All of ``old`` and ``new``, in order: what is the same and what is not, in turns."""
    joined: list[Span] = []
    for found in _within(old, new, Span(0, len(old), 0, len(new)), depth=0):
        if joined and joined[-1].is_same is found.is_same:
            before = joined.pop()
            joined.append(Span(before.first, found.last, before.new_first, found.new_last, found.is_same))
        elif not found.is_empty:
            joined.append(found)
    return joined


def _within(old: Sequence[str], new: Sequence[str], part: Span, *, depth: int) -> Iterator[Span]:
    head, middle, tail = _ends(old, new, part)
    yield head
    if (middle.last - middle.first) * (middle.new_last - middle.new_first) <= _SHORT:
        yield from _compared(old, new, middle)
    elif depth == _DEEPEST or not (matches := _unique(old, new, middle)):
        yield from _side_by_side(old, new, middle)
    else:
        first, new_first = middle.first, middle.new_first
        for place, new_place in matches:
            yield from _within(old, new, Span(first, place, new_first, new_place), depth=depth + 1)
            first, new_first = place + 1, new_place + 1
            yield Span(place, first, new_place, new_first, is_same=True)
        yield from _within(old, new, Span(first, middle.last, new_first, middle.new_last), depth=depth + 1)
    yield tail


def _ends(old: Sequence[str], new: Sequence[str], part: Span) -> tuple[Span, Span, Span]:
    """What is the same at the beginning and at the end of ``part``, and what is between."""
    shorter = min(part.last - part.first, part.new_last - part.new_first)
    head = sum(1 for _ in takewhile(lambda n: old[part.first + n] == new[part.new_first + n], range(shorter)))
    left = range(1, shorter - head + 1)
    tail = sum(1 for _ in takewhile(lambda n: old[part.last - n] == new[part.new_last - n], left))
    first, new_first = part.first + head, part.new_first + head
    last, new_last = part.last - tail, part.new_last - tail
    return (
        Span(part.first, first, part.new_first, new_first, is_same=True),
        Span(first, last, new_first, new_last),
        Span(last, part.last, new_last, part.new_last, is_same=True),
    )


def _compared(old: Sequence[str], new: Sequence[str], part: Span) -> Iterator[Span]:
    matcher = SequenceMatcher(None, old[part.first : part.last], new[part.new_first : part.new_last], autojunk=False)
    for tag, first, last, new_first, new_last in matcher.get_opcodes():
        yield Span(
            part.first + first,
            part.first + last,
            part.new_first + new_first,
            part.new_first + new_last,
            is_same=tag == "equal",
        )


def _side_by_side(old: Sequence[str], new: Sequence[str], part: Span) -> Iterator[Span]:
    """Whatever stands at the same place is compared with one another, and with nothing else."""
    pairs = min(part.last - part.first, part.new_last - part.new_first)
    for place, new_place in zip(count(part.first), range(part.new_first, part.new_first + pairs), strict=False):
        yield Span(place, place + 1, new_place, new_place + 1, is_same=old[place] == new[new_place])
    yield Span(part.first + pairs, part.last, part.new_first + pairs, part.new_last)


def _unique(old: Sequence[str], new: Sequence[str], part: Span) -> list[tuple[int, int]]:
    """Places of what both have exactly once within ``part``: the most of them that stand in the same order."""
    once, new_once = (
        _once(sequence, places)
        for sequence, places in ((old, range(part.first, part.last)), (new, range(part.new_first, part.new_last)))
    )
    pairs = [(place, new_once[entry]) for entry, place in once.items() if entry in new_once]
    return _rising(pairs)


def _once(sequence: Sequence[str], places: range) -> dict[str, int]:
    counted = Counter(sequence[place] for place in places)
    return {sequence[place]: place for place in places if counted[sequence[place]] == 1}


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of ``pairs``, whose firsts rise, in which the seconds rise as well."""
    least: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for place, (_, second) in enumerate(pairs):
        length = bisect_left(least, second)
        before.append(ends[length - 1] if length else None)
        least[length : length + 1] = [second]
        ends[length : length + 1] = [place]
    chosen: list[tuple[int, int]] = []
    last = ends[-1] if ends else None
    while last is not None:
        chosen.append(pairs[last])
        last = before[last]
    return chosen[::-1]
