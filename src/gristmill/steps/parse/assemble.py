"""From a draft to a ``Parsed``: cleans, joins, counts offsets, cuts what is too long.

Every offset of a parsed document is made here, after cleaning, so none can be off.
"""

from dataclasses import replace

from gristmill.steps.model import Heading, Notice, Page, Parsed, Part, Span
from gristmill.steps.parse.clean import clean
from gristmill.steps.parse.draft import Draft, Section
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.structure import structure_of

__all__ = ["assemble"]

_BETWEEN = "\n\n"
_TITLE_CHARS = 300
_MOST_NOTICES = 100


def assemble(draft: Draft, *, name: str, limits: ParseLimits) -> Parsed:
    """The finished document; an empty one gets a notice unless the draft already says why."""
    notices = list(draft.notices)
    placed, text = _placed(draft.sections, limits.max_text_chars)
    total = sum(len(section.text) + section.left_out for section in draft.sections)
    if placed and (placed[-1][0].text != placed[-1][1] or placed[-1][0].left_out):
        notices.append(Notice(code="text_cut", facts={"name": name, "kept": len(text), "total": total}))
    if not text and not notices:
        notices.append(Notice(code="no_text_found", facts={"name": name}))
    if len(notices) > _MOST_NOTICES:
        left = len(notices) - _MOST_NOTICES
        notices[_MOST_NOTICES:] = [Notice(code="notices_cut", facts={"name": name, "left": left})]
    headings: list[Heading] = []
    tables: list[Span] = []
    pages: list[Page] = []
    parts: list[Part] = []
    start = 0
    for section, kept in placed:
        end = start + len(kept)
        if section.markdown:
            found = structure_of(kept)
            headings += [Heading(level=h.level, title=h.title, start=start + h.start) for h in found.headings]
            tables += [Span(start=start + t.start, end=start + t.end) for t in found.tables]
        if section.page is not None:
            pages.append(Page(number=section.page, start=start, end=end))
        if section.part is not None:
            if parts and parts[-1].path == section.part:
                parts[-1] = Part(path=section.part, start=parts[-1].start, end=end)
            else:
                parts.append(Part(path=section.part, start=start, end=end))
        start = end + len(_BETWEEN)
    return Parsed(
        text=text,
        media_type=draft.media_type,
        encoding=draft.encoding,
        title=_title(draft.title, headings if not parts else []),
        pages=tuple(pages),
        headings=tuple(headings),
        tables=tuple(tables),
        parts=tuple(parts),
        metadata=draft.metadata,
        notices=tuple(notices),
    )


def _placed(sections: tuple[Section, ...], room: int) -> tuple[list[tuple[Section, str]], str]:
    """The sections that have text, cleaned, each with what of it is kept; and the joined text."""
    placed: list[tuple[Section, str]] = []
    for section in sections:
        text = clean(section.text).strip("\n").rstrip()
        if not text.strip():
            continue
        tidy = replace(section, text=text)
        kept = text[: max(room, 0)]
        if not kept.strip():
            if placed:
                break
            kept = ""
        placed.append((tidy, kept))
        room -= len(kept) + len(_BETWEEN)
        if kept != text or section.left_out:
            break
    return placed, _BETWEEN.join(kept for _, kept in placed)


def _title(given: str | None, headings: list[Heading]) -> str | None:
    title = clean(given or "").strip()
    if not title:
        # Lower levels are sections; the name of a sheet is no title of the book.
        title = next((heading.title for heading in headings if heading.level == 1), "")
    return " ".join(title.split())[:_TITLE_CHARS] or None
