"""Every format gives its text, in both languages, with the structure it has."""

import json
from collections.abc import Callable

import pytest

from gristmill.steps.model import Parsed
from tests.material import office, pdf, texts
from tests.material.archives import zip_file
from tests.material.parsing import notice_codes, parse_bytes
from tests.material.words import CHINESE, CHINESE_TITLE, ENGLISH, ENGLISH_TITLE

_Maker = Callable[[str, str], bytes]

MAKERS: dict[str, _Maker] = {
    "docx": office.docx_file,
    "pptx": lambda title, text: office.pptx_file((title, text)),
    "xlsx": lambda title, text: office.xlsx_file({"Sheet": [[title, "n"], [text, 1]]}),
    "odt": office.odt_file,
    "epub": lambda title, text: office.epub_file(title, (title, text)),
    "rtf": texts.rtf_file,
    "html": lambda title, text: texts.html_page(title, text).encode(),
    "md": lambda title, text: f"# {title}\n\n{text}\n".encode(),
    "txt": lambda title, text: f"{title}\n\n{text}\n".encode(),
    "csv": lambda title, text: f"{title},n\n{text},1\n".replace("，", " ").encode(),
    "tsv": lambda title, text: f"{title}\tn\n{text}\t1\n".encode(),
    "json": lambda title, text: json.dumps({"title": title, "text": text}).encode(),
    "jsonl": lambda title, text: f"{json.dumps(title)}\n{json.dumps(text)}\n".encode(),
    "xml": lambda title, text: f"<doc><title>{title}</title><p>{text}</p></doc>".encode(),
    "ipynb": lambda title, text: texts.notebook([("markdown", f"# {title}\n"), ("code", f"say('{text}')")]),
    "srt": lambda title, text: texts.srt_file(title, text).encode(),
    "eml": texts.eml_file,
    "py": lambda title, text: f'"""{title}"""\n# {text}\n'.encode(),
    "zip": lambda title, text: zip_file({"a.txt": title.encode(), "b/c.md": text.encode()}),
}


@pytest.mark.parametrize("suffix", MAKERS)
@pytest.mark.parametrize(("title", "text"), [(ENGLISH_TITLE, ENGLISH), (CHINESE_TITLE, CHINESE)], ids=["en", "zh"])
def test_parse_finds_title_and_text_in_every_format(suffix: str, title: str, text: str) -> None:
    data = MAKERS[suffix](title, text)

    document = parse_bytes(f"report.{suffix}", data)

    assert title in document.text
    assert text.replace("，", " ") in document.text.replace("，", " ")
    assert document.notices == ()
    _assert_sound(document)


@pytest.mark.parametrize(("title", "text"), [(ENGLISH_TITLE, ENGLISH), (CHINESE_TITLE, CHINESE)], ids=["en", "zh"])
def test_parse_gives_pages_of_a_pdf(title: str, text: str) -> None:
    data = pdf.pdf([title, text], [], [text, title], chinese=title == CHINESE_TITLE)

    document = parse_bytes("report.pdf", data)

    assert [page.number for page in document.pages] == [1, 3]
    first = document.pages[0]
    assert document.text[first.start : first.end] == f"# {title}\n\n{text}"
    assert document.metadata["page_count"] == 3
    _assert_sound(document)


def test_parse_keeps_every_line_of_a_pdf_and_invents_no_table() -> None:
    lines = [f"This is line {n} of a paragraph which runs on" for n in range(8)]

    document = parse_bytes("report.pdf", pdf.pdf(["Title", *lines], ["continues here", "x"]))

    assert document.tables == ()
    assert "line 7 of a paragraph" in document.text
    assert document.text.endswith("x")


def test_parse_joins_wrapped_lines_of_a_pdf() -> None:
    wrapped = ["The mill ground forty-two sacks of rye before the frost and", "then it rested until the spring came."]
    chinese = [CHINESE[:13] * 2, CHINESE[13:]]

    english_text = parse_bytes("a.pdf", pdf.pdf(["Title", *wrapped])).text
    chinese_text = parse_bytes("b.pdf", pdf.pdf(["题", *chinese], chinese=True)).text

    assert " ".join(wrapped) in english_text
    assert "".join(chinese) in chinese_text


def test_parse_does_not_take_a_hash_in_a_pdf_for_a_heading() -> None:
    document = parse_bytes("a.pdf", pdf.pdf(["Title", "# not a heading"]))

    assert [heading.title for heading in document.headings] == ["Title"]


def test_parse_gives_a_page_per_slide() -> None:
    document = parse_bytes("deck.pptx", office.pptx_file((ENGLISH_TITLE, ENGLISH), (CHINESE_TITLE, CHINESE)))

    assert [_cut(document, page.start, page.end) for page in document.pages] == [
        f"## {ENGLISH_TITLE}\n\n{ENGLISH}",
        f"## {CHINESE_TITLE}\n\n{CHINESE}",
    ]
    assert document.title == ENGLISH_TITLE


def test_parse_numbers_sheets_as_the_workbook_does_when_one_is_empty() -> None:
    book = office.xlsx_file({"Rye": [["grain", "sacks"], ["rye", 42]], "none": [], "粮食": [["粮", "袋"], ["黑麦", 7]]})

    document = parse_bytes("book.xlsx", book)

    assert [page.number for page in document.pages] == [1, 3]
    assert _cut(document, document.pages[1].start, document.pages[1].end).startswith("## 粮食")
    assert [_cut(document, table.start, table.end) for table in document.tables] == [
        "| grain | sacks |\n| --- | --- |\n| rye | 42 |",
        "| 粮 | 袋 |\n| --- | --- |\n| 黑麦 | 7 |",
    ]


def test_parse_finds_headings_and_tables_of_a_word_document() -> None:
    data = office.docx_file(CHINESE_TITLE, ENGLISH, table=[["grain", "sacks"], ["rye", "42"]])

    document = parse_bytes("report.docx", data)

    assert [(heading.level, heading.title) for heading in document.headings] == [(1, CHINESE_TITLE)]
    assert [_cut(document, table.start, table.end) for table in document.tables] == [
        "| grain | sacks |\n| --- | --- |\n| rye | 42 |"
    ]
    assert document.title == CHINESE_TITLE


def test_parse_repeats_the_head_of_a_long_csv_so_that_no_stretch_is_without_it() -> None:
    rows = "".join(f"mill {n},{n}\n" for n in range(50))

    document = parse_bytes("mills.csv", ("name,sacks\n" + rows).encode())

    assert len(document.tables) == 3
    assert all(_cut(document, table.start, table.end).startswith("| name | sacks |") for table in document.tables)
    assert document.metadata == {"rows": 50, "columns": ["name", "sacks"]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_parse_finds_the_delimiter_of_a_csv(delimiter: str) -> None:
    text = delimiter.join(["a", "b", "c"]) + "\n" + delimiter.join(["1.5", '"two, 2; x"', "3"]) + "\n"

    document = parse_bytes("data.csv", text.encode())

    assert "| 1.5 | two, 2; x | 3 |" in document.text


def test_parse_shows_code_and_output_of_a_notebook_in_fences() -> None:
    data = texts.notebook([("markdown", "# Grain"), ("code", "# a comment\nprint(42)")], output="\x1b[1m42\x1b[0m\n")

    document = parse_bytes("book.ipynb", data)

    assert document.text == "# Grain\n\n```python\n# a comment\nprint(42)\n```\n\n```\n42\n```"
    assert [heading.title for heading in document.headings] == ["Grain"]


def test_parse_writes_json_so_that_chinese_can_be_found() -> None:
    document = parse_bytes("a.json", b'{"grain": "\\u9ed1\\u9ea6", "sacks": [42]}')

    assert document.text == '{\n  "grain": "黑麦",\n  "sacks": [\n    42\n  ]\n}'


def test_parse_loses_nothing_of_json_with_repeated_keys_or_many_digits() -> None:
    document = parse_bytes("a.json", b'{"a": 1.0000000000000000001, "a": 2e999}')

    assert document.text == '{\n  "a": 1.0000000000000000001,\n  "a": 2e999\n}'
    assert notice_codes(document) == []


def test_parse_tells_elements_attributes_and_mixed_text_of_xml() -> None:
    data = '<r xmlns="u"><x:c id="7">rye</x:c><d>mixed <b>bold</b> tail</d></r>'.replace("x:", "").encode()

    document = parse_bytes("a.xml", data)

    assert document.text == "c.id: 7\nc: rye\nmixed\nb: bold\ntail"


def test_parse_keeps_only_the_start_times_of_subtitles() -> None:
    document = parse_bytes("film.srt", texts.srt_file("Good <i>morning</i>", "42", CHINESE).encode())

    assert document.text == f"[00:00:00] Good morning\n[00:00:04] 42\n[00:00:08] {CHINESE}"


def test_parse_reads_webvtt_with_hours_left_out() -> None:
    vtt = b"WEBVTT\n\n00:01.000 --> 00:02.000 align:start\n<v Ada>Hello\n"

    document = parse_bytes("film.vtt", vtt)

    assert document.text == "[00:01] Hello"


def test_parse_names_the_attachments_of_a_message_and_reads_its_html_when_there_is_no_plain_text() -> None:
    data = texts.eml_file(CHINESE_TITLE, ENGLISH, attachment=("report.pdf", b"%PDF-"))
    html_only = b"Subject: Hi\nFrom: a@b.c\nContent-Type: text/html; charset=gbk\n\n<p>" + CHINESE.encode("gbk")

    document = parse_bytes("a.eml", data)
    other = parse_bytes("b.eml", html_only)

    assert document.title == CHINESE_TITLE
    assert document.metadata["attachments"] == ["report.pdf"]
    assert notice_codes(document) == ["attachments_not_read"]
    assert other.text == f"Subject: Hi\nFrom: a@b.c\n\n{CHINESE}"


def test_parse_names_the_language_of_source_code_and_takes_no_comment_for_a_heading() -> None:
    document = parse_bytes("mill.py", b"# a comment\r\nx = 1\r\n")

    assert document.text == "# a comment\nx = 1"
    assert document.metadata == {"language": "python"}
    assert document.media_type == "text/x-python"
    assert document.headings == ()


def test_parse_takes_the_title_of_markdown_from_its_front_matter() -> None:
    document = parse_bytes("a.md", b"---\ntitle: 'Grain'\n---\n\n# Other\n\ntext\n")

    assert document.title == "Grain"
    assert [heading.title for heading in document.headings] == ["Other"]


@pytest.mark.parametrize(
    ("name", "data", "declared", "media_type"),
    [
        ("page", texts.html_page("T", "x").encode(), None, "text/html"),
        ("data", b'{"a": 1}', "application/json; charset=utf-8", "application/json"),
        ("feed", b"<?xml version='1.0'?><a>x</a>", None, "application/xml"),
        ("mail", texts.eml_file("S", "x"), None, "message/rfc822"),
        ("README", b"just text", None, "text/plain"),
    ],
)
def test_parse_recognises_files_without_extension(
    name: str, data: bytes, declared: str | None, media_type: str
) -> None:
    document = parse_bytes(name, data, declared_type=declared)

    assert document.media_type == media_type


def _cut(document: Parsed, start: int, end: int) -> str:
    return document.text[start:end]


def _assert_sound(document: Parsed) -> None:
    """Offsets point at what they name, and the text is clean."""
    assert not set("\0\r\x02") & set(document.text)
    for heading in document.headings:
        assert _cut(document, heading.start, heading.start + 1) in {"#", heading.title[:1]}
    stretches = [(page.start, page.end) for page in document.pages]
    stretches += [(table.start, table.end) for table in document.tables]
    stretches += [(part.start, part.end) for part in document.parts]
    assert all(0 <= start < end <= len(document.text) for start, end in stretches)
