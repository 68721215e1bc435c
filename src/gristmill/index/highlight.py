"""Which parts of a text show why it was found.

Pure: the tokenizing function comes from outside, so that what is marked is what the keyword index matched.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from gristmill.index.model import Fragment

__all__ = ["TokenSpans", "highlight"]

TokenSpans = Callable[[str], Iterable[tuple[int, int, str]]]
"""Gives each term of a text with its offsets, in reading order."""


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    terms: tuple[str, ...]


def highlight(
    text: str,
    terms: Collection[str],
    tokenise: TokenSpans,
    *,
    max_fragments: int = 3,
    fragment_chars: int = 200,
) -> list[Fragment]:
    """The fragments of at most ``fragment_chars`` that show most of ``terms``, best first.

    Matches that overlap or touch, as Chinese pairs do, become one range. Without any match the answer is the
    beginning of the text with nothing marked; for a blank text it is empty.
    """
    matches = _matches(text, frozenset(terms), tokenise)
    if not matches:
        start, end = _lead(text, fragment_chars)
        return [Fragment(text=text[start:end], ranges=())] if start < end else []
    chosen: list[tuple[int, int]] = []
    for first, last in _ranked(matches, fragment_chars):
        if len(chosen) == max_fragments:
            break
        start, end = _window(text, matches[first].start, matches[last].end, fragment_chars)
        if all(end <= other_start or other_end <= start for other_start, other_end in chosen):
            chosen.append((start, end))
    return [_fragment(text, start, end, matches) for start, end in chosen]


def _matches(text: str, terms: frozenset[str], tokenise: TokenSpans) -> list[_Match]:
    matches: list[_Match] = []
    for start, end, term in tokenise(text):
        if term not in terms:
            continue
        if matches and start <= matches[-1].end:
            previous = matches[-1]
            matches[-1] = _Match(previous.start, max(previous.end, end), (*previous.terms, term))
        else:
            matches.append(_Match(start, end, (term,)))
    return matches


def _ranked(matches: list[_Match], size: int) -> list[tuple[int, int]]:
    """For each match the run of matches that fits behind it, those with most distinct terms first."""
    runs: list[tuple[int, int, int, int]] = []
    inside: Counter[str] = Counter()
    last = -1
    for first, match in enumerate(matches):
        if last < first:
            last = first
            inside.update(match.terms)
        while last + 1 < len(matches) and matches[last + 1].end - match.start <= size:
            last += 1
            inside.update(matches[last].terms)
        runs.append((-len(inside), first - last, first, last))
        inside.subtract(match.terms)
        for term in match.terms:
            if not inside[term]:
                del inside[term]
    return [(first, last) for _, _, first, last in sorted(runs)]


def _window(text: str, first: int, last: int, size: int) -> tuple[int, int]:
    """``size`` characters around ``first`` to ``last``, shrunk to whole words and trimmed."""
    last = min(last, first + size)
    spare = size - (last - first)
    start = max(0, first - spare // 2)
    end = min(len(text), start + size)
    start = max(0, min(start, end - size))
    while start < first and not _is_word_border(text, start):
        start += 1
    while end > last and not _is_word_border(text, end):
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _lead(text: str, size: int) -> tuple[int, int]:
    """The first ``size`` characters without leading space, cut between words if there are any."""
    start = len(text) - len(text.lstrip())
    most = min(len(text), start + size)
    end = most
    while end > start and not _is_word_border(text, end):
        end -= 1
    end = end if end > start else most
    return start, start + len(text[start:end].rstrip())


def _is_word_border(text: str, position: int) -> bool:
    if position <= 0 or position >= len(text):
        return True
    left, right = text[position - 1], text[position]
    return not (left.isalnum() and right.isalnum()) or left > "\u2e7f" or right > "\u2e7f"


def _fragment(text: str, start: int, end: int, matches: list[_Match]) -> Fragment:
    ranges = tuple(
        (max(match.start, start) - start, min(match.end, end) - start)
        for match in matches
        if match.start < end and match.end > start
    )
    return Fragment(text=text[start:end], ranges=ranges)
