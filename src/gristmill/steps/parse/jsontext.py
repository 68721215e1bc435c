"""JSON, written out so that people can search it: one value a line, characters instead of escapes.

The standard library makes objects of the whole document, which take thirty times its size; here it is read value by
value and written at once. So numbers keep their digits and repeated keys are both shown.
"""

import json
import re
from collections.abc import Iterator

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.clean import clean, clean_lines
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.kept import Kept
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.plain import decoded, decoding_notices

__all__ = ["read_json", "read_json_lines"]

_DEEPEST = 500
"""Deeper documents would be indented into nothing but blanks."""
_CLOSING = {"{": "}", "[": "]"}
_BLANK = r"[ \t\n\r]*+"
_STRING = r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_WORD = r"-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][+-]?\d++)?|true|false|null|NaN|-?Infinity"
_MEMBER = re.compile(
    rf"{_BLANK}(?:(?P<key>{_STRING}){_BLANK}:{_BLANK})?"
    rf"(?:(?P<scalar>{_STRING}|{_WORD}){_BLANK}(?P<comma>,)?|(?P<opening>[\[{{]))"
)
"""A value, or where one begins, with the key before it."""
_MARK = re.compile(rf"{_BLANK}([\]}},])?")
_CUT = re.compile(
    rf'{_BLANK}(?:{_STRING}{_BLANK}:?{_BLANK})?(?:"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+\\?|[-+.\w]*+)\Z'
)
"""A member that the end of the text cut off."""


class _MalformedError(ValueError):
    """No JSON from ``position`` on."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def read_json(material: Material, limits: ParseLimits) -> Draft:
    """One JSON document, indented; what cannot be read as JSON stays as it is."""
    source = decoded(material, limits)
    text = clean(source.text)
    notices = decoding_notices(source, material.name)
    kept = Kept(limits.max_text_chars)
    try:
        for piece in _pieces(text):
            kept.write(piece)
    except _MalformedError as error:
        if source.left_out and _CUT.match(text, error.position):
            # It is JSON as far as it was read; what the end cut off is kept as it stands.
            kept.write(text[error.position :])
        else:
            notices += (Notice(code="read_as_plain_text", facts={"name": material.name, "format": "json"}),)
            kept = Kept(limits.max_text_chars)
            kept.write(text)
    return Draft(
        sections=(Section(text=kept.text, markdown=False, left_out=source.left_out + kept.left_out),),
        media_type=MEDIA_TYPES[Format.JSON],
        encoding=source.encoding,
        notices=notices,
    )


def read_json_lines(material: Material, limits: ParseLimits) -> Draft:
    """One JSON value a line; a line that is none stays as it is."""
    source = decoded(material, limits)
    kept = Kept(limits.max_text_chars)
    rows = 0
    for line in clean_lines(source.text):
        if line.strip():
            kept.write(f"\n{_line(line)}" if rows else _line(line))
            rows += 1
    return Draft(
        sections=(Section(text=kept.text, markdown=False, left_out=source.left_out + kept.left_out),),
        media_type=MEDIA_TYPES[Format.JSON_LINES],
        encoding=source.encoding,
        metadata={"rows": rows},
        notices=decoding_notices(source, material.name),
    )


def _line(line: str) -> str:
    if "\\u" not in line:
        return line.strip()
    try:
        return "".join(_pieces(line, indented=False))
    except _MalformedError:
        return line


def _pieces(text: str, *, indented: bool = True) -> Iterator[str]:
    """``text`` as JSON for people, piece by piece; raises :class:`_MalformedError` where it is none."""
    closings: list[str] = []
    lead = ""
    position = 0
    while True:
        member = _MEMBER.match(text, position)
        if member is None or (member["key"] is not None) != (closings[-1:] == ["}"]):
            raise _MalformedError(position)
        before = lead + f"{_readable(member['key'], position)}: " if member["key"] else lead
        if opening := member["opening"]:
            mark = _MARK.match(text, member.end())
            closing = _CLOSING[opening]
            if mark is None or mark[1] != closing:
                if len(closings) == _DEEPEST:
                    raise _MalformedError(position)
                position = member.end()
                closings.append(closing)
                lead = _line_end(closings, indented=indented)
                yield before + opening
                continue
            yield before + opening + closing
            position = mark.end()
        else:
            yield before + _readable(member["scalar"], position)
            position = member.end()
        if not member["comma"]:
            while (mark := _MARK.match(text, position)) and mark[1] and mark[1] in closings[-1:]:
                closings.pop()
                yield _line_end(closings, indented=indented) + mark[1]
                position = mark.end()
            if not closings and mark and mark[1] is None and mark.end() == len(text):
                return
            if mark is None or mark[1] != ",":
                raise _MalformedError(position)
            position = mark.end()
        if not closings:
            raise _MalformedError(position)
        lead = "," + (_line_end(closings, indented=True) if indented else " ")


def _line_end(closings: list[str], *, indented: bool) -> str:
    return "\n" + "  " * len(closings) if indented else ""


def _readable(scalar: str, position: int) -> str:
    """A number or a word as it is; a string without the escapes it does not need."""
    if "\\" not in scalar:
        return scalar
    try:
        return json.dumps(json.loads(scalar), ensure_ascii=False)
    except ValueError as error:
        raise _MalformedError(position) from error
