"""XML as lines of ``name: text``.

Read by expat, event by event: no tree, no recursion. A document that declares entities is not interpreted at all,
so none is ever expanded.
"""

from xml.parsers import expat

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.plain import decoded, decoding_notices

__all__ = ["read_xml"]


class _EntityDeclaredError(Exception):
    """The document brings its own entities."""


class _Lines:
    """Collects the text of elements; one line per leaf, attribute and stretch of mixed text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: list[str] = []
        self._text: list[str] = []
        self._is_leaf = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._flush()
        local = name.rpartition(":")[2]
        self._names.append(local)
        self._is_leaf = True
        self.lines += [
            f"{local}.{key.rpartition(':')[2]}: {' '.join(value.split())}"
            for key, value in attributes.items()
            if value.strip() and not key.startswith("xmlns")
        ]

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
            self.lines.append(f"{name}: {text}" if name else text)


def read_xml(material: Material, limits: ParseLimits) -> Draft:
    """Elements, attributes and text; what is not well formed, or declares entities, stays as it is written."""
    source = decoded(material, limits)
    notices = decoding_notices(source, material.name)
    text = source.text.lstrip("\ufeff")
    try:
        text = "\n".join(_lines(text))
    except (expat.ExpatError, _EntityDeclaredError, UnicodeEncodeError):
        notices += (Notice(code="read_as_plain_text", facts={"name": material.name, "format": "xml"}),)
    return Draft(
        sections=(Section(text=text, markdown=False, left_out=source.left_out),),
        media_type=MEDIA_TYPES[Format.XML],
        encoding=source.encoding,
        notices=notices,
    )


def _lines(text: str) -> list[str]:
    def refuse(*_facts: object) -> None:
        raise _EntityDeclaredError

    lines = _Lines()
    # The bytes are UTF-8 by now, whatever the declaration in them says.
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lines.start
    parser.EndElementHandler = lines.end
    parser.CharacterDataHandler = lines.text
    parser.Parse(text.encode(), True)
    return lines.lines
