"""Where a text may be cut, and how good each place is.

A border is a position with a key: its rank (a heading is better than a sentence end, that better than a word), then
a hash of the characters around it. The key depends on nothing but those characters, so a border keeps its key
wherever its paragraph moves to.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from zlib import crc32

from gristmill.steps.split.layout import Layout

__all__ = ["Rank", "borders", "joins", "structure"]

_CONTEXT = 48
"""Characters on either side that give a border its hash: longer than the boilerplate most documents repeat."""


class Rank:
    """How much a reader minds a cut here, best first. Headings use their level, 1 to 6."""

    PARAGRAPH = 8
    ITEM = 9
    SENTENCE_LINE = 10
    SENTENCE = 11
    LINE = 12
    BLOCK_PARAGRAPH = 13
    BLOCK_LINE = 14
    CLAUSE = 20
    WORD = 21
    CHARACTER = 22
    BLOCK_INNER = 23


# Starts with one character class on purpose: the regex engine skips to it quickly, and nothing can backtrack.
_STOP = re.compile(r"""[\n.!?。！？｡…]+["'”’»)\]」』）】》]*\s*""")
_ITEM = re.compile(r"[-*+•·] |\d{1,3}[.)、] ?|[(（][\d一二三四五六七八九十]{1,3}[)）]|[一二三四五六七八九十]{1,3}、")
_SPACE = re.compile(r"[,;:，；：、]+\s*|\s+")
_WIDE_STOPS = frozenset("。！？｡…")
_NEVER_BEFORE = frozenset("。，、；：？！」』）】》…,.;:?!)]}'\"”’")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st vs etc e.g i.e cf fig figs eq no nos vol pp al inc ltd co corp jr sr approx dept est".split()  # noqa: SIM905 - a list of quoted words is harder to read and to sort
)
_LAST_WORD = re.compile(r"[^\s(\[\"']+\Z")


def borders(layout: Layout, start: int, end: int) -> tuple[list[int], list[int]]:
    """All borders inside ``(start, end)`` as sorted positions and their keys, dense enough to cut everywhere.

    Structure comes first; only a stretch longer than half the limit without any is searched for clauses and words,
    and only what is still unbroken for single characters.
    """
    text = layout.text
    most = layout.limit // 2
    positions: list[int] = []
    keys: list[int] = []
    previous = start
    for position, rank in [*structure(layout, start, end), (end, 0)]:
        if position - previous > most:
            for inner, inner_rank in _inner(layout, previous, position, most):
                positions.append(inner)
                keys.append(_key(text, inner, inner_rank))
        if position < end:
            positions.append(position)
            keys.append(_key(text, position, rank))
        previous = position
    return positions, keys


def structure(layout: Layout, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Headings, paragraphs, list items, sentences and lines that begin inside ``(start, end)``, with their ranks."""
    text = layout.text
    starts = layout.heading_starts
    next_heading = bisect_left(starts, start + 1)
    # Between a heading and the text under it there is no border: a piece must not end with a lone heading.
    glued_until = layout.bodies[next_heading - 1] if next_heading else start
    blocks = bool(layout.block_starts)
    for match in _STOP.finditer(text, start, end):
        position = match.end()
        while next_heading < len(starts) and starts[next_heading] <= position and starts[next_heading] < end:
            heading = starts[next_heading]
            if heading > glued_until:
                yield heading, layout.headings[next_heading].level
            glued_until = max(glued_until, layout.bodies[next_heading])
            next_heading += 1
        if position >= end or position <= glued_until:
            continue
        rank = _rank(text, match)
        if rank and blocks:
            rank = _rank_in_block(layout, position, rank)
        if rank:
            yield position, rank


def _rank(text: str, match: re.Match[str]) -> int:
    stop = match.group()
    position = match.end()
    lines = stop.count("\n")
    if lines > 1:
        return Rank.PARAGRAPH
    if lines:
        if _ITEM.match(text, position):
            return Rank.ITEM
        return Rank.LINE if stop[0] == "\n" else Rank.SENTENCE_LINE
    if not _WIDE_STOPS.isdisjoint(stop):
        return 0 if text[position] in _NEVER_BEFORE else Rank.SENTENCE
    if not stop[-1].isspace() or text[position].islower():
        return 0
    if stop[0] == ".":
        word = _LAST_WORD.search(text, max(0, match.start() - 12), match.start())
        if word and (word.group().lower() in _ABBREVIATIONS or (len(word.group()) == 1 and word.group().isupper())):
            return 0
    return Rank.SENTENCE


def _rank_in_block(layout: Layout, position: int, rank: int) -> int:
    """The rank inside a table or fence; no border at all where the block fits into one piece."""
    block = layout.block_at(position)
    if block is None:
        return Rank.PARAGRAPH if layout.begins_block(position) else rank
    if block[1] - block[0] <= layout.limit:
        return 0
    if rank == Rank.PARAGRAPH:
        return Rank.BLOCK_PARAGRAPH
    return Rank.BLOCK_INNER if rank == Rank.SENTENCE else Rank.BLOCK_LINE


def _inner(layout: Layout, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Clauses, words and, failing those, characters strictly between ``start`` and ``end``."""
    previous = start
    small_until = start
    for match in _SPACE.finditer(layout.text, start, end):
        position = match.end()
        if position >= end:
            break
        if position <= small_until:
            continue
        rank = Rank.WORD if match.group()[0].isspace() else Rank.CLAUSE
        if layout.block_starts and (block := layout.block_at(position)):
            if block[1] - block[0] <= layout.limit:
                previous = small_until = block[1]
                continue
            rank = Rank.BLOCK_INNER
        if position - previous > most:
            yield from _characters(layout.text, previous, position)
        yield position, rank
        previous = position
    if end - previous > most:
        yield from _characters(layout.text, previous, end)


def _characters(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """About every 32nd character border of an unbroken stretch, picked by the characters around it.

    Constant runs give none: all their borders look alike, and the cutter then cuts at full length.
    """
    import numpy as np

    codes = np.frombuffer(text[start:end].encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if codes.size < 16:
        return
    mixed = np.zeros(codes.size - 8, dtype=np.uint32)
    for offset in range(8):
        mixed = mixed * np.uint32(0x01000193) + codes[offset : offset + mixed.size]
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    mixed ^= mixed >> np.uint32(12)
    chosen = np.flatnonzero((mixed[1:] & np.uint32(31) == 0) & (mixed[1:] != mixed[:-1])) + 1
    for index in chosen.tolist():
        position = start + index + 4
        if not joins(text, position):
            yield position, Rank.CHARACTER


def joins(text: str, position: int) -> bool:
    """Whether the character at ``position`` belongs to the one before: an accent, a joiner, closing punctuation."""
    character = text[position]
    if character in _NEVER_BEFORE or text[position - 1] == "\u200d":
        return True
    return character == "\u200d" or unicodedata.category(character)[0] == "M"


def _key(text: str, position: int, rank: int) -> int:
    around = text[max(0, position - _CONTEXT) : position + _CONTEXT]
    return rank << 32 | crc32(around.encode("utf-8", "surrogatepass"))
