"""Headings and tables of Markdown text, with exact offsets.

One pass over the interesting lines; code fences hide what is inside them.
"""

import re
from dataclasses import dataclass

from gristmill.steps.model import Heading, Span

__all__ = ["Structure", "structure_of"]

_LINE = re.compile(
    r"^ {0,3}(?:"
    r"(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)"
    r"|(?P<hashes>\#{1,6})(?:[ \t]+(?P<title>[^\n]*))?$"
    r"|(?P<underline>=+|-{2,})[ \t]*$"
    r"|(?P<row>\|[^\n]*)"
    r")",
    re.MULTILINE,
)
# Begins at the first of many blanks alone, not once more at each of them.
_CLOSING_HASHES = re.compile(r"(?:^|(?<![ \t])[ \t]+)#+[ \t]*$")
_NOT_PROSE = re.compile(r" {0,3}(?:[#>|]|[-*+][ \t]|\d+[.)][ \t]|`{3}|~{3})| {4}|\t")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What one text is made of."""

    headings: tuple[Heading, ...] = ()
    tables: tuple[Span, ...] = ()


def structure_of(text: str) -> Structure:
    """The ATX and setext headings and the runs of ``|`` lines of ``text``."""
    headings: list[Heading] = []
    rows: list[tuple[int, int]] = []
    fence = ""
    for line in _LINE.finditer(text):
        mark = line["fence"]
        if fence:
            if mark and mark.startswith(fence) and not line["info"].strip():
                fence = ""
        elif mark:
            # A backtick after the opening run makes it inline code, not a fence.
            fence = "" if mark[0] == "`" and "`" in line["info"] else mark
        elif line["hashes"]:
            title = _plain(_CLOSING_HASHES.sub("", line["title"] or ""))
            if title:
                headings.append(Heading(level=len(line["hashes"]), title=title, start=line.start()))
        elif line["row"]:
            rows.append((line.start(), line.end()))
        elif line["underline"]:
            heading = _underlined(text, line.start(), 1 if line["underline"][0] == "=" else 2)
            if heading:
                headings.append(heading)
    return Structure(headings=tuple(headings), tables=_runs(rows))


def _plain(title: str) -> str:
    return _ESCAPE.sub(r"\1", title).strip().strip("*_").strip()


def _underlined(text: str, underline: int, level: int) -> Heading | None:
    # Only a one-line paragraph counts: a rule below a list, a table or front matter is no heading.
    start = text.rfind("\n", 0, max(underline - 1, 0)) + 1
    line = text[start : max(underline - 1, 0)]
    if not line.strip() or _NOT_PROSE.match(line):
        return None
    before = text[text.rfind("\n", 0, max(start - 1, 0)) + 1 : max(start - 1, 0)]
    if before.strip():
        return None
    return Heading(level=level, title=_plain(line), start=start)


def _runs(rows: list[tuple[int, int]]) -> tuple[Span, ...]:
    spans: list[Span] = []
    count = 0
    for start, end in rows:
        if spans and spans[-1].end + 1 == start:
            spans[-1] = Span(start=spans[-1].start, end=end)
            count += 1
        else:
            # One lone row is a line of text that happens to begin with a bar.
            if spans and count == 1:
                spans.pop()
            spans.append(Span(start=start, end=end))
            count = 1
    if spans and count == 1:
        spans.pop()
    return tuple(spans)
