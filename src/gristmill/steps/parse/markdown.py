"""Writing Markdown: rows of tables and fences around code.

Readers of data formats use it so that all tables and code blocks look alike to the splitter.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Shape", "fenced", "table", "table_pieces"]

_ROWS_PER_TABLE = 20
_HEAD_CHARS = 2_000
"""A longer head fills a chunk by itself, so it is written once."""
_RAGGED = 4
"""From this many missing cells for each that is there, rows are not filled up: that would multiply the text."""
_BACKQUOTES = re.compile("`{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many rows and cells there are, and how many cells the widest row has."""

    rows: int
    cells: int
    width: int

    @classmethod
    def of(cls, rows: Iterable[Sequence[str]]) -> "Shape":
        """The shape of ``rows``, none of which is kept."""
        count = cells = width = 0
        for row in rows:
            count += 1
            cells += len(row)
            width = max(width, len(row))
        return cls(rows=count, cells=cells, width=width)

    @property
    def is_ragged(self) -> bool:
        """Whether filling up every row would multiply the text."""
        return self.width > _ROWS_PER_TABLE and self.width * self.rows > (_RAGGED + 1) * self.cells


def fenced(code: str, language: str = "") -> str:
    """``code`` in a fence longer than any it contains."""
    longest = max((len(run) for run in _BACKQUOTES.findall(code)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code.rstrip()}\n{fence}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """``rows`` as Markdown tables; the first row heads every twenty others, so that no chunk is without it."""
    return "".join(table_pieces(rows, Shape.of(rows)))


def table_pieces(rows: Iterable[Sequence[str]], shape: Shape) -> Iterator[str]:
    """What :func:`table` makes of ``rows``, row by row; ``shape`` is theirs, found beforehand."""
    if not shape.width:
        return
    if shape.is_ragged:
        for number, row in enumerate(rows):
            yield ("\n" if number else "") + _row(row, len(row))
        return
    body = iter(rows)
    head = next(body)
    top = _row(head, shape.width) + "\n|" + " --- |" * shape.width
    size = _ROWS_PER_TABLE if sum(len(cell) for cell in head) <= _HEAD_CHARS else shape.rows
    yield top
    for number, row in enumerate(body):
        if number and number % size == 0:
            yield f"\n\n{top}"
        yield f"\n{_row(row, shape.width)}"


def _row(cells: Sequence[str], width: int) -> str:
    shown = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
    return "| " + " | ".join(shown + [""] * (width - len(shown))) + " |"
