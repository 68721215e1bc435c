"""HTML pages: their encoding, title and text."""

import re
from html import unescape

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.encoding import charset_of, decode
from gristmill.steps.parse.kept import Kept
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.markup import write_markdown
from gristmill.steps.parse.plain import decoding_notices

__all__ = ["read_html"]

_META_BYTES = 4_096
_TITLE_CHARS = 100_000
_LEAST_CHARS = 20_000_000
"""What of a page is always read; of a larger one no more than twice the text that is kept, the rest being markup."""
_META = re.compile(rb"<meta[^>]{0,300}charset[^>]{0,100}>", re.IGNORECASE)
_TITLE = re.compile(r"<title(?:\s[^>]{0,300})?>([^<]{0,1000})</title", re.IGNORECASE)
_LANGUAGE = re.compile(r"<html\b[^>]{0,500}?\blang\s*=\s*[\"']?([A-Za-z-]{2,20})", re.IGNORECASE)


def read_html(material: Material, limits: ParseLimits) -> Draft:
    """A page as Markdown. The charset of the answer's header is believed first, then that of the page."""
    meta = _META.search(material.data[:_META_BYTES])
    declared = charset_of(material.declared_type) or charset_of(meta[0].decode("latin-1") if meta else None)
    source = decode(material.data, declared, most=max(2 * limits.max_text_chars, _LEAST_CHARS))
    head = source.text[:_TITLE_CHARS]
    title = _TITLE.search(head)
    language = _LANGUAGE.search(head)
    kept = Kept(limits.max_text_chars)
    write_markdown(source.text, kept)
    return Draft(
        sections=(Section(text=kept.text, left_out=source.left_out + kept.left_out),),
        media_type=MEDIA_TYPES[Format.HTML],
        encoding=source.encoding,
        title=unescape(title[1]) if title else None,
        metadata={"language": language[1]} if language else {},
        notices=decoding_notices(source, material.name),
    )
