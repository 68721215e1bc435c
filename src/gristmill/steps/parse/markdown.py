"""Writing Markdown: rows of tables and fences around code.

Readers of data formats use it so that all tables and code blocks look alike to the splitter.
"""

import re
from collections.abc import Iterator, Sequence

__all__ = ["fenced", "table"]

_ROWS_PER_TABLE = 20
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
    head, body = rows[0], rows[1:]
    groups = [body[n : n + _ROWS_PER_TABLE] for n in range(0, len(body), _ROWS_PER_TABLE)] or [[]]
    return "\n\n".join("\n".join(_lines(head, group, width)) for group in groups)


def _lines(head: Sequence[str], body: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    yield _row(head, width)
    yield "|" + " --- |" * width
    for row in body:
        yield _row(row, width)


def _row(cells: Sequence[str], width: int) -> str:
    shown = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
    return "| " + " | ".join(shown + [""] * (width - len(shown))) + " |"
