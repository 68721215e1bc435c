"""Subtitles as lines that begin with the second they are spoken at."""

import re
from collections.abc import Iterator
from itertools import chain, pairwise

from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.clean import clean
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.kept import Kept
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.plain import decoded, decoding_notices

__all__ = ["read_subtitles"]

_TIMES = re.compile(r"^[^\S\n]*((?:\d{1,3}:)?\d{1,2}:\d{2})[.,]\d{1,3}\s*-->.*$", re.MULTILINE)
_NUMBER = re.compile(r"\s*\d+\s*")
_TAGS = re.compile(r"</?[A-Za-z][^<>\n]{0,80}>|<\d[\d:.]*>|\{\\[^{}\n]{0,80}\}")


def read_subtitles(material: Material, limits: ParseLimits) -> Draft:
    """SubRip or WebVTT; numbers, end times and styling are left out."""
    source = decoded(material, limits)
    text = clean(source.text)
    notices = decoding_notices(source, material.name)
    kept = Kept(limits.max_text_chars)
    said = False
    for line in _spoken(text):
        kept.write(f"\n{line}" if said else line)
        said = True
    if not said and text.strip():
        notices += (Notice(code="read_as_plain_text", facts={"name": material.name, "format": "srt"}),)
    return Draft(
        sections=(Section(text=kept.text if said else text, markdown=False, left_out=source.left_out + kept.left_out),),
        media_type=MEDIA_TYPES[Format.SUBTITLES],
        encoding=source.encoding,
        notices=notices,
    )


def _spoken(text: str) -> Iterator[str]:
    # Pairs of neighbours, and a last one without: all marks at once would take more room than the text.
    for mark, following in pairwise(chain(_TIMES.finditer(text), (None,))):
        assert mark is not None
        said = text[mark.end() : following.start() if following else len(text)]
        if following:
            # The number of the next cue stands alone in the line above its times.
            before, _, last = said.rstrip().rpartition("\n")
            said = before if _NUMBER.fullmatch(last) else said
        words = " ".join(_TAGS.sub("", said).split())
        if words:
            yield f"[{mark[1]}] {words}"
