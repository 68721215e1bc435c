"""XML as lines of ``name: text``.

Read by expat, event by event: no tree, no recursion. A document that declares entities is not interpreted at all,
so none is ever expanded; nor is one that nests deeper than documents do.
"""

from xml.parsers import expat

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.kept import Kept
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.plain import decoded, decoding_notices

__all__ = ["read_xml"]

_DEEPEST = 10_000
_SLAB = 1 << 20


class _RefusedError(Exception):
    """The document brings its own entities, or has too many elements inside each other."""


class _Lines:
    """Collects the text of elements; one line per leaf, attribute and stretch of mixed text."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._is_first = True
        self._names: list[str] = []
        self._text: list[str] = []
        self._is_leaf = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._flush()
        local = name.rpartition(":")[2]
        self._names.append(local)
        if len(self._names) > _DEEPEST:
            raise _RefusedError
        self._is_leaf = True
        for key, value in attributes.items():
            if value.strip() and not key.startswith("xmlns"):
                self._line(f"{local}.{key.rpartition(':')[2]}: {' '.join(value.split())}")

    def end(self, _name: str) -> None:
        name = self._names.pop()
        self._flush(name if self._is_leaf else "")
        self._is_leaf = False

    def text(self, data: str) -> None:
        self._text.append(data)

    def _flush(self, name: str = "") -> None:
        text = " ".join("".join(self._text).split())
        self._text.clear()
        if text:
            self._line(f"{name}: {text}" if name else text)

    def _line(self, line: str) -> None:
        self._kept.write(line if self._is_first else f"\n{line}")
        self._is_first = False


def read_xml(material: Material, limits: ParseLimits) -> Draft:
    """Elements, attributes and text; what is not well formed, or declares entities, stays as it is written."""
    source = decoded(material, limits)
    notices = decoding_notices(source, material.name)
    text = source.text.lstrip("\ufeff")
    kept = Kept(limits.max_text_chars)
    left_out = source.left_out
    try:
        _read(text, _Lines(kept), is_whole=not left_out)
        text = kept.text
        left_out += kept.left_out
    except (expat.ExpatError, _RefusedError, UnicodeEncodeError):
        notices += (Notice(code="read_as_plain_text", facts={"name": material.name, "format": "xml"}),)
    return Draft(
        sections=(Section(text=text, markdown=False, left_out=left_out),),
        media_type=MEDIA_TYPES[Format.XML],
        encoding=source.encoding,
        notices=notices,
    )


def _read(text: str, lines: _Lines, *, is_whole: bool) -> None:
    def refuse(*_facts: object) -> None:
        raise _RefusedError

    # The bytes are UTF-8 by now, whatever the declaration in them says.
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lines.start
    parser.EndElementHandler = lines.end
    parser.CharacterDataHandler = lines.text
    for start in range(0, len(text), _SLAB):
        parser.Parse(text[start : start + _SLAB].encode(), False)
    # What was cut off has no end, which is no fault of its author.
    if is_whole:
        parser.Parse(b"", True)
