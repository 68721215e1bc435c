"""JSON, written out so that people can search it: one value a line, characters instead of escapes."""

import json
from typing import Any

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.clean import clean
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.plain import decoded, decoding_notices

__all__ = ["read_json", "read_json_lines"]


def read_json(material: Material, limits: ParseLimits) -> Draft:
    """One JSON document, indented; what cannot be read as JSON stays as it is."""
    source = decoded(material, limits)
    text = clean(source.text)
    notices = decoding_notices(source, material.name)
    try:
        text = _written(text, indent=2)
    except (ValueError, RecursionError):
        notices += (Notice(code="read_as_plain_text", facts={"name": material.name, "format": "json"}),)
    return Draft(
        sections=(Section(text=text, markdown=False, left_out=source.left_out),),
        media_type=MEDIA_TYPES[Format.JSON],
        encoding=source.encoding,
        notices=notices,
    )


def read_json_lines(material: Material, limits: ParseLimits) -> Draft:
    """One JSON value a line; a line that is none stays as it is."""
    source = decoded(material, limits)
    lines = [_line(line) for line in clean(source.text).split("\n") if line.strip()]
    return Draft(
        sections=(Section(text="\n".join(lines), markdown=False, left_out=source.left_out),),
        media_type=MEDIA_TYPES[Format.JSON_LINES],
        encoding=source.encoding,
        metadata={"rows": len(lines)},
        notices=decoding_notices(source, material.name),
    )


def _line(line: str) -> str:
    try:
        return _written(line, indent=None)
    except (ValueError, RecursionError):
        return line


def _written(text: str, *, indent: int | None) -> str:
    value = json.loads(text, object_pairs_hook=_distinct)
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of repeated keys only the last would survive, so such a document is better left as it is.
    made = dict(pairs)
    if len(made) != len(pairs):
        message = "repeated key"
        raise ValueError(message)
    return made
