"""HTML to Markdown in one pass over the tags: no tree, no recursion, linear in the input.

Knows markup only; where the bytes come from and what the page is called is the business of ``webpage``.
"""

import re
import sys
from collections.abc import Iterator
from html import unescape

from gristmill.steps.parse.kept import Kept
from gristmill.steps.parse.markdown import fenced, table

__all__ = ["to_markdown", "write_markdown"]

_TAG_NAME = re.compile(r"/?[A-Za-z][A-Za-z0-9:-]*")
_SILENT = frozenset({"head", "script", "style", "template", "noscript", "svg", "nav", "iframe", "object", "title"})
_ENDS = {tag: re.compile(f"</{tag}", re.IGNORECASE) for tag in _SILENT}
_BREAKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "div", "dl", "dt"),
        *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "main", "ol", "option", "p"),
        *("pre", "section", "select", "summary", "table", "tbody", "tfoot", "thead", "ul"),
    )
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DEEPEST_LIST = 6
_MOST_ROWS = 2_000
"""A longer table is written in parts, each with its head, because rows take many times their size."""
_MARKS = re.compile(r"^(\s*)(#{1,6}(?:\s|$)|\||`{3}|~{3})")


def to_markdown(page: str) -> str:
    """The text of ``page`` with headings, lists, tables and code; navigation, scripts and styles are left out."""
    kept = Kept(sys.maxsize)
    write_markdown(page, kept)
    return kept.text


def write_markdown(page: str, kept: Kept) -> None:
    """Write to ``kept`` what :func:`to_markdown` makes of ``page``."""
    writer = _Writer(kept)
    for tag, text in _tokens(page):
        if tag:
            writer.tag(tag)
        else:
            writer.text(text)
    writer.finish()


def _tokens(page: str) -> Iterator[tuple[str, str]]:
    """Pairs of (tag name, nothing) and (nothing, text), in order; silent elements are stepped over.

    Every search moves forward, and an element that is never closed is not searched for twice: a hostile page costs
    no more than an honest one of its size.
    """
    position = 0
    unclosed: set[str] = set()
    while True:
        start = page.find("<", position)
        if start < 0:
            yield "", page[position:]
            return
        if start > position:
            yield "", page[position:start]
        name = _TAG_NAME.match(page, start + 1)
        if page.startswith("<!--", start):
            end = -1 if "-->" in unclosed else page.find("-->", start + 4)
            if end < 0:
                unclosed.add("-->")
            position = end + 3 if end >= 0 else start + 4
            continue
        if not name and not page.startswith(("<!", "<?"), start):
            yield "", "<"
            position = start + 1
            continue
        end = -1 if ">" in unclosed else page.find(">", start)
        if end < 0:
            # The rest of the page is inside a tag that was cut off.
            return
        position = end + 1
        if name:
            tag = name[0].lower()
            if tag in _SILENT and tag not in unclosed and page[end - 1] != "/":
                close = _ENDS[tag].search(page, position)
                if close:
                    position = close.start()
                    continue
                unclosed.add(tag)
            yield tag, ""


class _Writer:
    """Turns tags and text into lines of Markdown."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._last: bool | None = None
        """Whether the last block is a list item; None before the first."""
        self._inline: list[str] = []
        self._prefix = ""
        self._lists: list[str] = []
        self._item = 0
        self._code: list[str] | None = None
        self._rows: list[list[str]] = []
        self._cell: list[str] | None = None
        self._tables = 0

    def text(self, raw: str) -> None:
        text = unescape(raw)
        if self._code is not None:
            self._code.append(text)
        elif self._cell is not None:
            self._cell.append(text)
        else:
            self._inline.append(text)

    def tag(self, tag: str) -> None:
        name = tag.removeprefix("/")
        if self._code is not None:
            self._in_code(tag)
        elif name in {"table", "tr", "td", "th"}:
            self._in_table(tag, name)
        elif self._cell is not None:
            if name == "br" or name in _BREAKS or name in _HEADINGS or name == "li":
                self._cell.append(" ")
        elif name in _HEADINGS:
            self._flush()
            self._prefix = "" if tag[0] == "/" else "#" * _HEADINGS[name] + " "
        elif name == "li":
            self._flush()
            self._prefix = "" if tag[0] == "/" else self._bullet()
        elif name == "br":
            self._inline.append("\n")
        elif name in _BREAKS:
            self._flush()
            self._prefix = ""
            if name in {"ul", "ol"}:
                self._in_list(tag, name)
            elif tag == "pre":
                self._code = []

    def finish(self) -> None:
        """Write what is still open."""
        if self._code is not None:
            self._in_code("/pre")
        self._end_table()
        self._flush()

    def _block(self, block: str) -> None:
        """Write ``block``: blocks are a blank line apart, list items a line end."""
        is_item = _is_item(block)
        if self._last is not None:
            self._kept.write("\n" if is_item and self._last else "\n\n")
        self._kept.write(block)
        self._last = is_item

    def _flush(self) -> None:
        lines = [" ".join(line.split()) for line in "".join(self._inline).split("\n")] if self._in_lines() else []
        self._inline.clear()
        text = "\n".join(line for line in lines if line)
        if not text:
            return
        if self._prefix.startswith("#"):
            text = " ".join(text.split())
        else:
            text = "\n".join(_MARKS.sub(r"\1\\\2", line) for line in text.split("\n"))
        self._block(self._prefix + text)
        # What follows inside the same item or heading is a paragraph of its own.
        self._prefix = ""

    def _in_lines(self) -> bool:
        return any(piece.strip() for piece in self._inline)

    def _in_code(self, tag: str) -> None:
        if tag == "br" and self._code is not None:
            self._code.append("\n")
        elif tag == "/pre":
            code = "".join(self._code or ()).strip("\n")
            self._code = None
            if code.strip():
                self._block(fenced(code))

    def _in_list(self, tag: str, name: str) -> None:
        if tag[0] != "/":
            self._lists.append(name)
            self._item = 0
        elif self._lists:
            self._lists.pop()

    def _bullet(self) -> str:
        indent = "  " * min(max(len(self._lists) - 1, 0), _DEEPEST_LIST)
        if self._lists and self._lists[-1] == "ol":
            self._item += 1
            return f"{indent}{self._item}. "
        return f"{indent}- "

    def _in_table(self, tag: str, name: str) -> None:
        self._end_cell()
        if name == "table":
            # A table inside a table lays out a page: its cells join those of the outer one.
            self._tables = self._tables + 1 if tag == name else max(self._tables - 1, 0)
            if not self._tables:
                self._end_table()
            elif self._tables == 1:
                self._flush()
        elif tag == "tr":
            if len(self._rows) > _MOST_ROWS:
                head = self._rows[0]
                self._end_table()
                self._rows.append(head)
            self._rows.append([])
        elif tag == name:
            if not self._rows:
                self._flush()
                self._rows.append([])
            self._cell = []

    def _end_cell(self) -> None:
        if self._cell is not None and self._rows:
            self._rows[-1].append(" ".join("".join(self._cell).split()))
        self._cell = None

    def _end_table(self) -> None:
        self._end_cell()
        rows = [row for row in self._rows if any(row)]
        self._rows = []
        if not rows:
            return
        self._flush()
        if max(len(row) for row in rows) == 1:
            # One column is a layout, not data.
            for row in rows:
                self._block(row[0])
        else:
            self._block(table(rows))


def _is_item(block: str) -> bool:
    return bool(re.match(r"\s*(?:- |\d+\. )", block))
