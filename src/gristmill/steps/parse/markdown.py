"""Writing Markdown: rows of tables and fences around code.

Readers of data formats use it so that all tables and code blocks look alike to the splitter.
"""

import re
from collections.abc import Iterator, Sequence

__all__ = ["fenced", "table"]

_ROWS_PER_TABLE = 20
_HEAD_CHARS = 2_000
"""A longer head fills a chunk by itself, so it is written once."""
_RAGGED = 4
"""From this many missing cells for each that is there, rows are not filled up: that would multiply the text."""
_BACKQUOTES = re.compile("`{3,}")


def fenced(code: str, language: str = "") -> str:
    """``code`` in a fence longer than any it contains."""
    longest = max((len(run) for run in _BACKQUOTES.findall(code)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code.rstrip()}\n{fence}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """``rows`` as Markdown tables; the first row heads every twenty others, so that no chunk is without it."""
    width = max((len(row) for row in rows), default=0)
    if not width:
        return ""
    if width * len(rows) > (_RAGGED + 1) * sum(len(row) for row in rows) and width > _ROWS_PER_TABLE:
        return "\n".join(_row(row, len(row)) for row in rows)
    head, body = rows[0], rows[1:]
    size = _ROWS_PER_TABLE if sum(len(cell) for cell in head) <= _HEAD_CHARS else max(len(body), 1)
    groups = [body[n : n + size] for n in range(0, len(body), size)] or [[]]
    return "\n\n".join("\n".join(_lines(head, group, width)) for group in groups)


def _lines(head: Sequence[str], body: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    yield _row(head, width)
    yield "|" + " --- |" * width
    for row in body:
        yield _row(row, width)


def _row(cells: Sequence[str], width: int) -> str:
    shown = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
    return "| " + " | ".join(shown + [""] * (width - len(shown))) + " |"
