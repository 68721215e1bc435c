"""PDF: the text of every page, complete, with headings and whole paragraphs.

The library's own Markdown for PDF loses lines and invents tables, so only its plain page text is used; headings
are put back where a line of the page says the same.
"""

import re
from collections.abc import Sequence

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.extractor import extract
from gristmill.steps.parse.limits import ParseLimits

__all__ = ["read_pdf"]

_HYPHEN = re.compile("[\x02\ufffe](?:\r?\n)?")
_MARKS = re.compile(r"^( {0,3})(#{1,6}(?:\s|$)|\||`{3}|~{3})")
_WIDE = re.compile("[\u1100-\u115f\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60]")
_ENDS = (".", "!", "?", ":", ";", "\u3002", "\uff01", "\uff1f", "\uff1a", "\uff1b")
_LIST_MARK = re.compile(r"\s*(?:[-*\u2022\u25e6\u25aa\u00b7]|\(?\d{1,3}[.)\u3001]|[a-z][.)])\s?")
_NEVER_LAST = (".", ";", ",", "\uff1b", "\uff0c", "\u3001")
_COMMA = re.compile("[,\uff0c\u3001]")
_CLAUSES = 2
_HEADING_WIDTH = 100
_NARROW_PAGE = 40
_HEADING_LINES = 3


def read_pdf(material: Material, limits: ParseLimits) -> Draft:
    """One section per page; pages without text are left out, and a document of such pages gets a notice."""
    found = extract(material, Format.PDF, timeout_seconds=limits.timeout_seconds)
    headings: dict[int, list[tuple[int, str]]] = {}
    for page, level, text in found.headings:
        if _may_be_heading(text):
            headings.setdefault(page, []).append((level, text))
    sections = tuple(
        Section(text=_page_text(text, headings.get(number, [])), page=number)
        for number, text in enumerate(found.pages, start=1)
    )
    if not sections:
        sections = (Section(text=_page_text(found.content, ())),)
    blank = sum(1 for section in sections if not section.text.strip())
    notices: tuple[Notice, ...] = ()
    if blank and blank == len(sections):
        notices = (Notice(code="scanned_without_text", facts={"name": material.name, "pages": blank}),)
    return Draft(
        sections=sections,
        media_type=MEDIA_TYPES[Format.PDF],
        title=found.title,
        metadata={**found.facts(), "page_count": len(sections), "blank_pages": blank},
        notices=notices,
    )


def _may_be_heading(text: str) -> bool:
    # The library goes by the look of a line and takes many a line of Chinese body text for a heading.
    text = text.strip()
    sentence = "\u3002" in text or text.endswith(_NEVER_LAST)
    return not sentence and len(_COMMA.findall(text)) < _CLAUSES and _width(text) <= _HEADING_WIDTH


def _page_text(text: str, headings: Sequence[tuple[int, str]]) -> str:
    lines = _HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    out: list[str] = []
    full = max((_width(line) for line in lines), default=0) * 0.75
    waiting = list(headings)
    position = 0
    joinable = False
    while position < len(lines):
        taken, level = _heading_at(lines, position, waiting)
        if taken:
            title = " ".join(line.strip() for line in lines[position : position + taken])
            out += ["", f"{'#' * level} {title}", ""]
            position += taken
            joinable = False
            continue
        line = _MARKS.sub(r"\1\\\2", lines[position].rstrip())
        if joinable and line.strip() and not _LIST_MARK.match(line):
            out[-1] = _joined(out[-1], line.strip())
        else:
            out.append(line)
        joinable = _width(line) >= max(full, _NARROW_PAGE) and not line.endswith(_ENDS)
        position += 1
    return "\n".join(out).strip("\n")


def _heading_at(lines: Sequence[str], position: int, waiting: list[tuple[int, str]]) -> tuple[int, int]:
    """How many lines from ``position`` on are a heading, and its level; taken off ``waiting``."""
    if not lines[position].strip():
        return 0, 0
    for taken in range(1, _HEADING_LINES + 1):
        shown = _squeezed("".join(lines[position : position + taken]))
        for index, (level, text) in enumerate(waiting):
            if shown == _squeezed(_HYPHEN.sub("", text)):
                del waiting[index]
                return taken, min(max(level, 1), 6)
    return 0, 0


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _width(line: str) -> int:
    return len(line) + len(_WIDE.findall(line))


def _joined(before: str, after: str) -> str:
    # Chinese lines break anywhere and take no space when joined.
    gap = "" if _WIDE.match(before[-1:]) and _WIDE.match(after) else " "
    return before + gap + after
