"""Text that is already text: plain, Markdown, source code.

Nothing is rewritten here beyond decoding.
"""

import re

from gristmill.steps.formats import MEDIA_TYPES, PROGRAMMING_LANGUAGES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.encoding import Decoded, charset_of, decode
from gristmill.steps.parse.limits import ParseLimits

__all__ = ["decoded", "decoding_notices", "read_code", "read_markdown", "read_text"]

_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r"^title:(.*)$", re.MULTILINE)


def decoded(material: Material, limits: ParseLimits | None = None) -> Decoded:
    """The text of ``material``, believing the charset its source declared where possible.

    With ``limits`` no more than they allow is read; a format that means nothing without its end is read without.
    """
    most = limits.max_text_chars if limits else None
    return decode(material.data, charset_of(material.declared_type), most=most)


def decoding_notices(text: Decoded, name: str) -> tuple[Notice, ...]:
    """A notice when some bytes had no meaning."""
    if not text.lossy:
        return ()
    return (Notice(code="characters_replaced", facts={"name": name, "encoding": text.encoding}),)


def read_text(material: Material, limits: ParseLimits) -> Draft:
    """Plain text; a ``#`` at a line start is just a character."""
    text = decoded(material, limits)
    return Draft(
        sections=(Section(text=text.text, markdown=False, left_out=text.left_out),),
        media_type=MEDIA_TYPES[Format.TEXT],
        encoding=text.encoding,
        notices=decoding_notices(text, material.name),
    )


def read_code(material: Material, limits: ParseLimits) -> Draft:
    """Source code, named by its language."""
    text = decoded(material, limits)
    language = PROGRAMMING_LANGUAGES.get(material.suffix, "text")
    return Draft(
        sections=(Section(text=text.text, markdown=False, left_out=text.left_out),),
        media_type=f"text/x-{language}",
        encoding=text.encoding,
        metadata={"language": language},
        notices=decoding_notices(text, material.name),
    )


def read_markdown(material: Material, limits: ParseLimits) -> Draft:
    """Markdown; a title in its front matter wins over the first heading."""
    text = decoded(material, limits)
    front = _FRONT_MATTER.match(text.text)
    title = _TITLE.search(front[1]) if front else None
    return Draft(
        sections=(Section(text=text.text, left_out=text.left_out),),
        media_type=MEDIA_TYPES[Format.MARKDOWN],
        encoding=text.encoding,
        title=title[1].strip().strip("\"'") if title else None,
        notices=decoding_notices(text, material.name),
    )
