"""From bytes to text, by finding out the encoding.

Marks and strict decoding decide where they can; after that common Chinese characters do, and only then general
statistics, which take short GBK texts for Korean.
"""

import codecs
import re
from dataclasses import dataclass, field

from gristmill.steps.parse.kept import Kept

__all__ = ["Decoded", "charset_of", "decode"]

_MARKS = (
    # The UTF-32 mark begins with the UTF-16 one, so it is asked first.
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES = {"utf-8-sig": "utf-8", "gb2312": "gb18030", "gbk": "gb18030", "cp936": "gb18030", "big5": "cp950"}
# Left to itself the statistics prefer rare encodings that differ in a letter or two.
_LIKELY = (
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp874"),
    *("cp932", "euc_jp", "cp949", "gb18030", "big5", "utf_16_le", "utf_16_be"),
)
_EMPTY_CLAIMS = frozenset({"utf-8", "ascii", "iso8859-1"})
# Python decodes these too, but no document is written in them and some are slow on purpose-made input.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7", "mbcs"})
_SAMPLE_BYTES = 65_536
_STEP_BYTES = 1 << 20
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)

_SIMPLIFIED = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行"
    "学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前"
    "外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军"
)
_TRADITIONAL = frozenset(
    "的一是在不了有和人這中大為上個國我以要他時來用們生到作地於出就分對成會可主發年動同工也能下過子說產種面而方後多定行"
    "學法所民得經十三之進著等部度家電力裡如水化高自二理起小物現實加量都兩體制機當使點從業本去把性好應開它合還因由其些然前"
    "外天政四日那社義事平形相全表間樣與關各重新線內數正心反你明看原又麼利比或但質氣第向道命此變條只沒結解問意建月公無系軍"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Text with the encoding it was in; ``lossy`` when some bytes had no meaning there."""

    text: str = field(repr=False)
    encoding: str
    lossy: bool = False
    left_out: int = 0
    """Characters beyond those that were asked for."""


def charset_of(declaration: str | None) -> str | None:
    """The charset named by a media type or a ``meta`` tag, if this Python knows it."""
    found = _CHARSET.search(declaration or "")
    if not found:
        return None
    try:
        name = codecs.lookup(found[1]).name
        # Some codecs know no text at all: those that compress, for example.
        b" ".decode(name)
    except UnicodeError:
        pass
    except LookupError:
        return None
    return None if name in _NO_CHARSETS else name


def decode(data: bytes, declared: str | None = None, *, most: int | None = None) -> Decoded:
    """The text of ``data``, of which ``most`` characters are enough; ``declared`` is believed where the bytes allow it."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _forgiving(data, name, most)
    strict = _strictly(data, "utf-8", most)
    # Plain ASCII with NULs in between is UTF-16 without its mark, and valid UTF-8 too.
    wide = _wide(data, share=0.005 if strict is None else 0.7)
    if strict is not None and not wide:
        return strict
    # Servers say latin-1 and UTF-8 of anything; the bytes have already denied the latter.
    claims = [_NAMES.get(name, name) for name in (declared, wide) if name and name not in _EMPTY_CLAIMS]
    for claim in claims:
        text = _strictly(data, claim, most)
        if text is not None:
            return text
    return _guessed(data, most)


def _guessed(data: bytes, most: int | None) -> Decoded:
    if _nearly_utf8(data):
        return _forgiving(data, "utf-8", most)
    for name in ("euc_jp", "cp932"):
        text = _strictly(data, name, most)
        if text is not None and _reads_as_japanese(text.text):
            return text
    text = _strictly(data, "gb18030", most) if _mainland(data) else None
    # Names and terms need not contain a common character; whole sentences do.
    if text is not None and _reads_as_chinese(text.text, _SIMPLIFIED, share=0.05, at_least=12):
        return text
    text = _strictly(data, "cp950", most)
    if text is not None and _reads_as_chinese(text.text, _TRADITIONAL, share=0.15, at_least=0):
        return text
    return _forgiving(data, _statistically(data[:_SAMPLE_BYTES]), most)


def _strictly(data: bytes, name: str, most: int | None = None) -> Decoded | None:
    try:
        text, left_out = _read(data, name, "strict", most)
    except (UnicodeError, LookupError):
        return None
    return Decoded(text=text, encoding=_NAMES.get(name, name), left_out=left_out)


def _forgiving(data: bytes, name: str, most: int | None) -> Decoded:
    strict = _strictly(data, name, most)
    if strict is not None:
        return strict
    text, left_out = _read(data, name, "replace", most)
    return Decoded(text=text, encoding=_NAMES.get(name, name), lossy=True, left_out=left_out)


def _read(data: bytes, name: str, errors: str, most: int | None) -> tuple[str, int]:
    """The first ``most`` characters, and how many more there are; all bytes are looked at."""
    if most is None or len(data) <= most:
        return data.decode(name, errors), 0
    # Decoded whole, one character beyond the basic plane makes a text four times as large as its bytes.
    decoder = codecs.getincrementaldecoder(name)(errors)
    kept = Kept(most)
    for start in range(0, len(data), _STEP_BYTES):
        kept.write(decoder.decode(data[start : start + _STEP_BYTES], start + _STEP_BYTES >= len(data)))
    return kept.text, kept.left_out


def _wide(data: bytes, *, share: float) -> str | None:
    """UTF-16 without its mark: NULs in at least ``share`` of the high bytes and hardly any in the low ones."""
    sample = data[: _SAMPLE_BYTES // 2 * 2]
    if len(data) % 2 or not sample:
        return None
    first, second = sample[::2].count(0), sample[1::2].count(0)
    enough = max(share * len(sample) / 2, 1)
    if second >= enough and second > 10 * first:
        return _checked_wide(sample, "utf-16-le")
    if first >= enough and first > 10 * second:
        return _checked_wide(sample, "utf-16-be")
    return None


def _checked_wide(sample: bytes, name: str) -> str | None:
    text = sample.decode(name, "replace")
    ordinary = sum(
        1 for c in text if c in "\t\n\r" or " " <= c <= "\u024f" or "\u3000" <= c <= "\u9fff" or c > "\uff00"
    )
    return name if ordinary > 0.9 * len(text) else None


def _nearly_utf8(data: bytes) -> bool:
    """Whether a few broken bytes spoil what is otherwise UTF-8 with characters beyond ASCII."""
    sample = data[:_SAMPLE_BYTES]
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    beyond = sum(1 for c in text if c > "\x7f") - broken
    return beyond > 20 * broken


def _mainland(data: bytes) -> bool:
    """Whether the byte pairs lie where GB2312 keeps its everyday characters.

    Korean (EUC-KR) lives in the lower half of the same area: text that never leaves it is not Chinese.
    """
    pairs = re.findall(rb"([\x81-\xfe])([\x40-\xfe])", data[:_SAMPLE_BYTES])
    leads = [lead for lead, _ in pairs]
    level_one = [lead for lead in leads if b"\xb0" <= lead <= b"\xd7"]
    marks = sum(1 for lead in leads if b"\xa1" <= lead <= b"\xa3")
    if not leads or len(level_one) + marks < 0.7 * len(leads):
        return False
    return len(level_one) < 20 or any(lead > b"\xc8" for lead in level_one)


def _reads_as_japanese(text: str) -> bool:
    # Japanese cannot be written without these; in Chinese bytes they do not come up by chance.
    sample = [c for c in text[:_SAMPLE_BYTES] if c > "\x7f"]
    return sum(1 for c in sample if "\u3041" <= c <= "\u30fe") > len(sample) / 4


def _reads_as_chinese(text: str, common: frozenset[str], *, share: float, at_least: int) -> bool:
    """Whether ``share`` of the Chinese characters are common ones; fewer than ``at_least`` prove nothing and pass."""
    sample = text[:_SAMPLE_BYTES]
    han = [c for c in sample if "\u4e00" <= c <= "\u9fff"]
    kana = sum(1 for c in sample if "\u3040" <= c <= "\u30ff" or "\uff61" <= c <= "\uff9f")
    if not han or kana > len(han) / 10:
        return False
    return len(han) < at_least or sum(1 for c in han if c in common) >= share * len(han)


def _statistically(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=list(_LIKELY)).best()
    name = best.encoding if best else "cp1252"
    return name if _strictly(sample, name) is not None else "latin-1"
