"""Texts come out right whatever they were encoded in."""

import pytest

from tests.material import texts
from tests.material.parsing import notice_codes, parse_bytes
from tests.material.words import CHINESE, CHINESE_TITLE, ENGLISH

TRADITIONAL = "我們在這裡學習中文，這是一個測試的句子。"
JAPANESE = "これは日本語のテストです。今日はいい天気ですね。"
KOREAN = "안녕하세요 이것은 한국어 텍스트입니다. 오늘은 날씨가 좋습니다. 감사합니다"
GERMAN = "Die Mühle mahlte für die Bäcker größere Säcke, außer am Dienstag."
RUSSIAN = "Мельница намолола сорок два мешка ржи до морозов и снега"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "utf-8"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "gbk"),
        (CHINESE, "gb18030"),
        (CHINESE, "utf-16"),
        (CHINESE, "utf-32"),
        (CHINESE + "\n1 2 3\n" + CHINESE, "utf-16-le"),
        (CHINESE + "\n1 2 3\n" + CHINESE, "utf-16-be"),
        ("磨坊", "gbk"),
        ("中文测试", "gbk"),
        ("Grain 粮食 report, page 12 of 20", "gbk"),
        (TRADITIONAL, "big5"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "euc_kr"),
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (ENGLISH, "ascii"),
        (ENGLISH, "utf-16-le"),
        (ENGLISH, "utf-16-be"),
    ],
)
def test_parse_reads_text_in_encoding(text: str, encoding: str) -> None:
    document = parse_bytes("note.txt", text.encode(encoding))

    assert document.text == text
    assert document.notices == ()


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-8"])
@pytest.mark.parametrize("declared", ["gb2312", "utf-8", "no-such-charset", "punycode"])
def test_parse_reads_html_in_encoding_whatever_it_declares(encoding: str, declared: str) -> None:
    page = texts.html_page(CHINESE_TITLE, CHINESE, charset=declared)

    document = parse_bytes("page.html", page.encode(encoding))

    assert CHINESE in document.text
    assert document.title == CHINESE_TITLE


def test_parse_believes_the_declared_charset_when_the_bytes_allow_it() -> None:
    short = "цена".encode("koi8-r")

    document = parse_bytes("note.txt", short, declared_type="text/plain; charset=koi8-r")

    assert document.text == "цена"


def test_parse_replaces_a_broken_byte_and_says_so() -> None:
    data = (CHINESE * 5).encode() + b"\xff" + ENGLISH.encode()

    document = parse_bytes("note.txt", data)

    assert document.text == CHINESE * 5 + "\ufffd" + ENGLISH
    assert notice_codes(document) == ["characters_replaced"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a\0b\0c, no sixteen bits here", "abc, no sixteen bits here"),
        (b"hello\0wor\0ld", "helloworld"),
        (b"one\r\ntwo\rthree\x0cfour", "one\ntwo\nthree\nfour"),
        ("hy\u00adphen".encode(), "hyphen"),
        (b"bell\x07 and tab\t.", "bell and tab\t."),
    ],
)
def test_parse_cleans_text(data: bytes, text: str) -> None:
    assert parse_bytes("note.txt", data).text == text


def test_parse_joins_surrogate_pairs_and_drops_lone_ones() -> None:
    document = parse_bytes("a.json", b'["\\ud83c\\udf3e", "\\ud83c lone", "\\u0000"]')

    assert document.text == '[\n  "🌾",\n  " lone",\n  "\\u0000"\n]'
