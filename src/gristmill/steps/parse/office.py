"""Word, PowerPoint, Excel, OpenDocument, e-books and rich text, as Markdown.

Slides and sheets become pages; the other formats have no pages until they are printed.
"""

import re
from collections.abc import Sequence

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.extractor import Extracted, extract
from gristmill.steps.parse.limits import ParseLimits

__all__ = ["read_docx", "read_epub", "read_odt", "read_pptx", "read_rtf", "read_xlsx"]

_SLIDE_TITLE = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_ESCAPE = re.compile(r"\\([!\"$%&'()*+,./:;<=>?@\[\]^_{}~-])")
_FENCE = re.compile(r"^ {0,3}(?:`{3,}|~{3,})", re.MULTILINE)


def read_docx(material: Material, limits: ParseLimits) -> Draft:
    """A Word document."""
    return _whole(material, Format.DOCX, limits)


def read_odt(material: Material, limits: ParseLimits) -> Draft:
    """An OpenDocument text."""
    return _whole(material, Format.ODT, limits)


def read_epub(material: Material, limits: ParseLimits) -> Draft:
    """An e-book."""
    return _whole(material, Format.EPUB, limits)


def read_rtf(material: Material, limits: ParseLimits) -> Draft:
    """A rich text document."""
    return _whole(material, Format.RTF, limits)


def read_pptx(material: Material, limits: ParseLimits) -> Draft:
    """A presentation, one page per slide."""
    found = extract(material, Format.PPTX, timeout_seconds=limits.timeout_seconds)
    pieces = re.split(rf"{found.page_mark} (\d+)", found.content)
    slides = [
        Section(text=_unescaped(text), page=int(number))
        for number, text in zip(pieces[1::2], pieces[2::2], strict=True)
    ]
    first = _SLIDE_TITLE.search(slides[0].text) if slides else None
    title = found.title or (first[1] if first else None)
    return _drafted(found, Format.PPTX, [Section(text=_unescaped(pieces[0])), *slides], title=title)


def read_xlsx(material: Material, limits: ParseLimits) -> Draft:
    """A workbook, one page per sheet; the sheet's name is its heading."""
    found = extract(material, Format.XLSX, timeout_seconds=limits.timeout_seconds)
    names = [name for name in found.metadata.get("sheet_names") or () if isinstance(name, str)]
    sections: list[Section] = []
    rest = found.content
    here: int | None = None
    for number, name in enumerate(names, start=1):
        mark = re.search(rf"^## {re.escape(name)}$", rest, re.MULTILINE)
        if not mark:
            # An empty sheet is not in the content.
            continue
        sections.append(Section(text=_unescaped(rest[: mark.start()]), page=here))
        rest, here = rest[mark.start() :], number
        sections.append(Section(text=rest[: len(mark[0])], page=here))
        rest = rest[len(mark[0]) :]
    sections.append(Section(text=_unescaped(rest), page=here))
    return _drafted(found, Format.XLSX, _merged(sections))


def _merged(sections: Sequence[Section]) -> list[Section]:
    merged: list[Section] = []
    for section in sections:
        if merged and merged[-1].page == section.page:
            merged[-1] = Section(text=merged[-1].text + section.text, page=section.page)
        else:
            merged.append(section)
    return merged


def _whole(material: Material, kind: Format, limits: ParseLimits) -> Draft:
    found = extract(material, kind, timeout_seconds=limits.timeout_seconds)
    return _drafted(found, kind, [Section(text=_unescaped(found.content))])


def _drafted(found: Extracted, kind: Format, sections: Sequence[Section], *, title: str | None = None) -> Draft:
    return Draft(
        sections=tuple(sections),
        media_type=MEDIA_TYPES[kind],
        title=title or found.title,
        metadata=found.facts(),
    )


def _unescaped(markdown: str) -> str:
    """Without the backslashes that keep Markdown from being misread; people search for what they saw.

    Those before ``#``, ``|`` and backquotes stay, because they decide what is a heading, a cell or code; and text
    with code blocks stays as it is.
    """
    return markdown if _FENCE.search(markdown) else _ESCAPE.sub(r"\1", markdown)
