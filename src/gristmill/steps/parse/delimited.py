"""CSV and its relatives, as Markdown tables.

The delimiter is the one that cuts the first rows most evenly, because the name of the file is no proof.
"""

import csv
import io
from collections.abc import Iterator
from itertools import islice

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.clean import clean, clean_lines
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.kept import Kept
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.markdown import Shape, table_pieces
from gristmill.steps.parse.plain import decoded, decoding_notices

__all__ = ["read_csv", "read_tsv"]

_SAMPLE_CHARS = 20_000
_SAMPLE_ROWS = 50
_WIDEST = 1_000
_LONGEST = 1_000_000


def read_csv(material: Material, limits: ParseLimits) -> Draft:
    """Values separated by commas, semicolons, tabs or bars."""
    return _read(material, limits, Format.CSV, ",;\t|")


def read_tsv(material: Material, limits: ParseLimits) -> Draft:
    """Values separated by tabs."""
    return _read(material, limits, Format.TSV, "\t")


def _read(material: Material, limits: ParseLimits, kind: Format, delimiters: str) -> Draft:
    source = decoded(material, limits)
    notices = decoding_notices(source, material.name)
    kept = Kept(limits.max_text_chars)
    shape = Shape(rows=0, cells=0, width=0)
    columns: list[str] = []
    try:
        sample = clean(source.text[:_SAMPLE_CHARS])
        delimiter = max(delimiters, key=lambda one: _evenness(sample, one))
        # Read twice, because the rows of a large file take many times its size.
        shape = Shape.of(_rows(source.text, delimiter))
        if shape.rows and shape.width <= _WIDEST:
            columns = next(_rows(source.text, delimiter))
            for piece in table_pieces(_rows(source.text, delimiter), shape):
                kept.write(piece)
    except csv.Error:
        # An unclosed quote makes one cell of the rest of the file.
        shape = Shape(rows=0, cells=0, width=_WIDEST + 1)
    if shape.width > _WIDEST:
        # Padding every row to such a width would multiply the text.
        notices += (Notice(code="read_as_plain_text", facts={"name": material.name, "format": kind.value}),)
    is_table = bool(columns)
    return Draft(
        sections=(
            Section(
                text=kept.text if is_table else source.text,
                markdown=is_table,
                left_out=source.left_out + kept.left_out,
            ),
        ),
        media_type=MEDIA_TYPES[kind],
        encoding=source.encoding,
        metadata={"rows": max(shape.rows - 1, 0), "columns": columns} if is_table else {},
        notices=notices,
    )


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    return (row for row in csv.reader(_lines(text), delimiter=delimiter) if any(cell.strip() for cell in row))


def _lines(text: str) -> Iterator[str]:
    for line in clean_lines(text):
        if len(line) > _LONGEST:
            # Millions of cells in one row are no table, and the reader would hold them all.
            raise csv.Error
        yield f"{line}\n"


def _evenness(sample: str, delimiter: str) -> tuple[float, int]:
    """The share of rows as wide as the first, and that width; a delimiter that never occurs loses."""
    rows = islice(csv.reader(io.StringIO(sample), delimiter=delimiter), _SAMPLE_ROWS)
    widths = [len(row) for row in rows if row]
    if not widths or widths[0] == 1:
        return 0.0, 0
    return sum(1 for width in widths if width == widths[0]) / len(widths), widths[0]
