"""Text to search terms, the same for every database.

The full-text index only splits on spaces; all language knowledge is here, so SQLite and Postgres find the same
things. Terms consist of letters and digits alone, which every tokenizer keeps whole and which are safe inside quotes.
Indexing and searching must use the same version of this file: changing what a text becomes means indexing again.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from gristmill.db.stopwords import is_stop_term

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST_TERMS", "index_tokens", "query_tokens", "select_terms", "token_spans"]

_WIDE = (
    r"\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    r"\U00020000-\U0003fffd"
)
"""Scripts written without spaces (and Hangul, whose endings stick to the word): pairs of characters are their terms."""
_RAW = re.compile(rf"[A-Za-z]\+\+|[A-Za-z]#(?!\w)|[vV]?\d+(?:\.\d+)+|[{_WIDE}]+|[^\W{_WIDE}]+")
_IS_WIDE = re.compile(rf"[{_WIDE}]")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\dA-Za-z_]+")
_NOT_A_TERM = re.compile(r"[\W_]+")
MOST_TERMS = 12
"""Terms of a query that are looked for, the rarest ones: each common word costs milliseconds and decides little."""
_LONGEST = 64
"""Longer words are encoded data; the first characters are enough to find them again."""
_REMEMBERED = 200_000
"""Words whose terms stay in memory: the vocabulary of a large collection, about 30 MB."""


def index_tokens(text: str) -> str:
    """The terms of ``text`` in reading order, joined by spaces; identifiers give their parts and themselves."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(map(_WORDS.__getitem__, _RAW.findall(text)))


def token_spans(text: str, *, only: AbstractSet[str] | None = None) -> Iterator[tuple[int, int, str]]:
    """Each term of ``text`` with the offsets of what it stands for, in reading order; those in ``only``, if given."""
    words = _RAW.findall(text)
    terms_of = {
        raw: terms.split(" ")
        for raw, terms in zip(words, map(_WORDS.__getitem__, words), strict=True)
        if only is None or terms in only or (" " in terms and not only.isdisjoint(terms.split(" ")))
    }
    if not terms_of:
        return
    end = 0
    for raw in words:
        # Between two words there is nothing that a word could begin with, so the first place is the right one.
        start = text.find(raw, end)
        end = start + len(raw)
        if raw in terms_of:
            yield from _spans(raw, terms_of[raw], start, end, only)


def _spans(
    raw: str, terms: list[str], start: int, end: int, only: AbstractSet[str] | None
) -> Iterator[tuple[int, int, str]]:
    in_pairs = _IS_WIDE.match(raw) and len(terms) == max(1, len(raw) - 1)
    width = min(2, len(raw))
    for offset, term in enumerate(terms, start):
        if term and (only is None or term in only):
            yield (offset, offset + width, term) if in_pairs else (start, end, term)


def query_tokens(text: str) -> list[str]:
    """The distinct terms to search for, in order; stop words are dropped unless there is nothing else."""
    terms = list(dict.fromkeys(index_tokens(text).split()))
    return [term for term in terms if not is_stop_term(term)] or terms


def select_terms(tokens: Sequence[str], frequency: Mapping[str, int], limit: int = MOST_TERMS) -> list[str]:
    """The ``limit`` rarest of ``tokens``, in their order; terms found nowhere are dropped, they cannot match."""
    known = [token for token in dict.fromkeys(tokens) if frequency.get(token, 0) > 0]
    rarest = set(sorted(known, key=lambda token: frequency[token])[:limit])
    return [token for token in known if token in rarest]


class _Words(dict[str, str]):
    """Terms of each word met so far; a plain lookup for known words is what makes indexing fast."""

    def __missing__(self, raw: str) -> str:
        terms = " ".join(_terms(raw))
        if len(raw) <= _LONGEST and not _IS_WIDE.match(raw):
            if len(self) >= _REMEMBERED:
                self.clear()
            self[raw] = terms
        return terms


_WORDS = _Words()


def _terms(raw: str) -> Iterator[str]:
    if _IS_WIDE.match(raw):
        yield from _pairs(unicodedata.normalize("NFKC", raw))
    elif raw.endswith("++"):
        yield f"{raw[0].lower()}plusplus"
    elif raw.endswith("#"):
        yield f"{raw[0].lower()}sharp"
    elif "." in raw:
        numbers = raw.lstrip("vV").split(".")
        yield "dot".join(numbers)[:_LONGEST]
        yield from numbers[:4]
    else:
        yield from _word_terms(unicodedata.normalize("NFKC", raw))


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for left, right in pairwise(run):
        yield left + right


def _word_terms(word: str) -> Iterator[str]:
    whole = _folded(word)
    if not whole:
        return
    yield _stem(whole)
    if whole.isalpha() and "_" not in word and (word.islower() or word.isupper() or word[1:].islower()):
        return
    if len(word) > _LONGEST:
        return
    parts = [part for raw in _PART.findall(word) if len(part := _folded(raw)) > 1]
    if parts != [whole]:
        yield from (_stem(part) for part in parts)


def _folded(word: str) -> str:
    """Lower case without accents and without anything that is not a letter or digit."""
    if word.isascii() and word.isalnum():
        return word.lower()[:_LONGEST]
    plain = "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not "\u0300" <= c <= "\u036f")
    return _NOT_A_TERM.sub("", unicodedata.normalize("NFKC", plain))[:_LONGEST]


def _stem(word: str) -> str:
    return _stemmer()(word) if word.isascii() and word.isalpha() else word


@cache
def _stemmer() -> "Callable[[str], str]":
    import Stemmer

    stem: Callable[[str], str] = Stemmer.Stemmer("english").stemWord
    return stem
