"""Metadata of a text by counting its words: no model, the same in every run, for English and Chinese.

Sentences are chosen by the weight of their words (H. P. Luhn, "The Automatic Creation of Literature Abstracts", 1958).
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import Stemmer

from gristmill.db.stopwords import is_stop_term

__all__ = ["Metadata", "describe"]

_TITLE_CHARS = 80
_SUMMARY_CHARS = 300
_KEYWORDS = 8
_QUESTIONS = 3
_ENTITIES = 12
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_CHINESE_SHARE = 0.2
"""Of the letters: a Chinese text may well be full of foreign names."""

_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?。！？]+|\n|$)")
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]{2,}")
_RUN = re.compile(f"[{_HAN}]+")
_LETTER = re.compile(r"[^\W\d_]")
_MARKUP = re.compile(r"^[#>*\-\s|]+|[*_`|]+", re.MULTILINE)
_NAMES = re.compile(r"\b(?:[A-Z][\w’'-]+(?:\s+(?:of|the|de|von)\s+(?=[A-Z])|\s+)?){1,4}(?<=\w)")
_TITLED = re.compile(r"《[^》]{1,40}》")
_PLACES = re.compile(f"[{_HAN}]{{2,8}}?(?:公司|大学|学院|银行|医院|委员会|研究院|研究所)")
_STEMMER = Stemmer.Stemmer("english")
_DATES = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b(?:1[5-9]|20)\d{2}\b|\d{4}年(?:\d{1,2}月(?:\d{1,2}日)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is said of a chunk."""

    title: str
    summary: str
    keywords: tuple[str, ...]
    questions: tuple[str, ...]
    """That the text has an answer to, as far as its words tell."""
    entities: tuple[str, ...]
    """Names, works and dates."""
    language: str
    """``en``, ``zh``, or ``und`` where there are no letters."""


def describe(text: str, *, headings: Sequence[str] = ()) -> Metadata:
    """The metadata of ``text``, which stands under ``headings``."""
    plain = _MARKUP.sub(" ", text)
    language = _language(plain)
    weights = _weights(plain)
    keywords = tuple(word for word, _ in weights.most_common(_KEYWORDS))
    sentences = [sentence for found in _SENTENCE.findall(plain) if (sentence := " ".join(found.split()))]
    return Metadata(
        title=_cut(headings[-1] if headings else next(iter(sentences), ""), _TITLE_CHARS),
        summary=_summary(sentences, weights, language),
        keywords=keywords,
        questions=tuple(_question(word, language) for word in keywords[:_QUESTIONS]),
        entities=tuple(_entities(plain)),
        language=language,
    )


def _language(text: str) -> str:
    letters = len(_LETTER.findall(text))
    if not letters:
        return "und"
    return "zh" if sum(map(len, _RUN.findall(text))) >= _CHINESE_SHARE * letters else "en"


def _weights(text: str) -> Counter[str]:
    """How much each word tells: how often it stands there, of Chinese pairs of characters those that come again."""
    words: Counter[str] = Counter()
    for word in _WORD.findall(text):
        if not _is_common(lower := word.lower()):
            words[lower] += 1
    pairs = Counter(run[at : at + 2] for run in _RUN.findall(text) for at in range(len(run) - 1))
    told = {pair: count for pair, count in pairs.items() if not is_stop_term(pair)}
    words.update({pair: count for pair, count in told.items() if count > 1} or told)
    return words


def _is_common(word: str) -> bool:
    return is_stop_term(word) or is_stop_term(_STEMMER.stemWord(word))


def _summary(sentences: Sequence[str], weights: Counter[str], language: str) -> str:
    """The sentences that tell most, in their order, as many as fit."""
    if not sentences:
        return ""

    def weight(place: int) -> float:
        sentence = sentences[place].lower()
        told = sum(count for word, count in weights.items() if word in sentence)
        # What stands first is most often what the text is about.
        return told / math.sqrt(len(sentence)) + (1.0 if place == 0 else 0.0)

    chosen: list[int] = []
    left = _SUMMARY_CHARS
    for place in sorted(range(len(sentences)), key=weight, reverse=True):
        if len(sentences[place]) <= left:
            chosen.append(place)
            left -= len(sentences[place]) + 1
    gap = "" if language == "zh" else " "
    return gap.join(sentences[place] for place in sorted(chosen)) or _cut(sentences[0], _SUMMARY_CHARS)


def _question(word: str, language: str) -> str:
    return f"关于“{word}”，文中说了什么？" if language == "zh" else f"What does the text say about “{word}”?"


def _entities(text: str) -> Iterator[str]:
    found = Counter(
        name.strip()
        for pattern in (_TITLED, _PLACES, _DATES, _NAMES)
        for name in pattern.findall(text)
        if len(name.strip()) > 1 and not _is_common(name.strip().lower())
    )
    # A word at the beginning of a sentence is a name only if it is one elsewhere as well, or has more than one part.
    openings = {sentence.split()[0] for sentence in _SENTENCE.findall(text) if sentence.split()}
    names = (name for name, count in found.most_common() if count > 1 or " " in name or name not in openings)
    yield from islice(names, _ENTITIES)


def _cut(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
