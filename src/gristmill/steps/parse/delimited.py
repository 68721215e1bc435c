"""CSV and its relatives, as Markdown tables.

The delimiter is the one that cuts the first rows most evenly, because the name of the file is no proof.
"""

import csv
import io
from itertools import islice

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.clean import clean
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.markdown import table
from gristmill.steps.parse.plain import decoded, decoding_notices

__all__ = ["read_csv", "read_tsv"]

_SAMPLE_CHARS = 20_000
_SAMPLE_ROWS = 50
_WIDEST = 1_000


def read_csv(material: Material, limits: ParseLimits) -> Draft:
    """Values separated by commas, semicolons, tabs or bars."""
    return _read(material, limits, Format.CSV, ",;\t|")


def read_tsv(material: Material, limits: ParseLimits) -> Draft:
    """Values separated by tabs."""
    return _read(material, limits, Format.TSV, "\t")


def _read(material: Material, limits: ParseLimits, kind: Format, delimiters: str) -> Draft:
    source = decoded(material, limits)
    text = clean(source.text)
    notices = decoding_notices(source, material.name)
    rows: list[list[str]] = []
    try:
        delimiter = max(delimiters, key=lambda one: _evenness(text[:_SAMPLE_CHARS], one))
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error:
        # An unclosed quote makes one cell of the rest of the file.
        notices += (Notice(code="read_as_plain_text", facts={"name": material.name, "format": kind.value}),)
    if rows and max(len(row) for row in rows) > _WIDEST:
        # Padding every row to such a width would multiply the text.
        notices += (Notice(code="read_as_plain_text", facts={"name": material.name, "format": kind.value}),)
        rows = []
    return Draft(
        sections=(Section(text=table(rows) if rows else text, markdown=bool(rows), left_out=source.left_out),),
        media_type=MEDIA_TYPES[kind],
        encoding=source.encoding,
        metadata={"rows": max(len(rows) - 1, 0), "columns": rows[0]} if rows else {},
        notices=notices,
    )


def _evenness(sample: str, delimiter: str) -> tuple[float, int]:
    """The share of rows as wide as the first, and that width; a delimiter that never occurs loses."""
    rows = islice(csv.reader(io.StringIO(sample), delimiter=delimiter), _SAMPLE_ROWS)
    widths = [len(row) for row in rows if row]
    if not widths or widths[0] == 1:
        return 0.0, 0
    return sum(1 for width in widths if width == widths[0]) / len(widths), widths[0]
