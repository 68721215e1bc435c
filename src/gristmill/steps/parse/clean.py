"""The one place where text is made clean.

Everything downstream (databases, embedders, JSON) may rely on it: LF line ends, no NUL, no control characters
but tab and newline, no lone surrogates.
"""

import io
import re
from collections.abc import Iterator

__all__ = ["clean", "clean_lines"]

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Soft hyphens and byte order marks are invisible and split words for every search.
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f\xad\ufeff\ufffe\uffff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_ANY = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\xad\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_SLAB = 1 << 20


def clean(text: str) -> str:
    """``text`` with LF line ends and without what no reader ever sees; surrogate pairs are joined, lone ones go."""
    # Most texts are clean, and a large one is better not copied.
    if not _ANY.search(text):
        return text
    if len(text) <= _SLAB:
        return _cleaned(text)
    made = io.StringIO()
    for slab in _slabs(text):
        made.write(_cleaned(slab))
    return made.getvalue()


def clean_lines(text: str) -> Iterator[str]:
    """The lines of ``text``, each clean and without its end; there is no second copy of the whole."""
    rest = ""
    for slab in _slabs(text):
        *whole, rest = (rest + clean(slab)).split("\n")
        yield from whole
    yield rest


def _slabs(text: str) -> Iterator[str]:
    """``text`` in stretches, so that many replacements need little memory; none ends inside of what is one."""
    start = 0
    while start < len(text):
        end = start + _SLAB
        while end < len(text) and (text[end - 1] == "\r" or "\ud800" <= text[end - 1] <= "\udbff"):
            end += 1
        yield text[start:end]
        start = end


def _cleaned(text: str) -> str:
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
    if _SURROGATES.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return text
