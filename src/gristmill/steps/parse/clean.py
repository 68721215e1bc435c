"""The one place where text is made clean.

Everything downstream (databases, embedders, JSON) may rely on it: LF line ends, no NUL, no control characters
but tab and newline, no lone surrogates.
"""

import re

__all__ = ["clean"]

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Soft hyphens and byte order marks are invisible and split words for every search.
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f\xad\ufeff\ufffe\uffff]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """``text`` with LF line ends and without what no reader ever sees; surrogate pairs are joined, lone ones go."""
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
    if _SURROGATES.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return text
