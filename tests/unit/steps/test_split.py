"""What a reader and an index may rely on after splitting, whatever the text."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.errors import InvalidInput
from gristmill.steps.model import Heading, Page, Parsed, Part, Piece, Span
from gristmill.steps.split import cuts, split


def parsed(text: str, **structure: object) -> Parsed:
    return Parsed(text=text, media_type="text/plain", **structure)  # type: ignore[arg-type]  # a test's shorthand


def with_headings(text: str) -> Parsed:
    headings, position = [], 0
    for line in text.splitlines(keepends=True):
        if line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            headings.append(Heading(level=level, title=line.strip("# \n"), start=position))
        position += len(line)
    return parsed(text, headings=tuple(headings))


def assert_complete(document: Parsed, pieces: list[Piece], chunk_size: int) -> None:
    text, covered = document.text, 0
    for piece in pieces:
        assert piece.text == text[piece.start : piece.end]
        assert 0 < len(piece.text) <= chunk_size
        assert piece.text == piece.text.strip()
        assert piece.end > covered
        assert not text[covered : piece.start].strip()
        covered = piece.end
    assert not text[covered:].strip()


_SNIPPETS = st.sampled_from(
    [
        *"a.\n 。！，、x1|#-",
        "\n\n",
        "word ",
        "A sentence ends here. ",
        "句子在这里结束。",
        "没有标点的一段很长的文字" * 8,
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "```\ncode here\n\nmore\n```\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "\n# Title\n\n",
        "\n## 第二节\n",
        "e\u0301\u200d👩\u200d👩",
        "\u3000\u3000",
        "same sentence." * 10,
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    snippets=st.lists(_SNIPPETS | st.text(max_size=40), max_size=60),
    chunk_size=st.integers(50, 400),
    share=st.floats(0, 0.5),
)
def test_split_covers_every_character_within_the_size(snippets: list[str], chunk_size: int, share: float) -> None:
    document = with_headings("".join(snippets))

    pieces = split(document, chunk_size=chunk_size, chunk_overlap=int(chunk_size * share))

    assert_complete(document, pieces, chunk_size)
    assert pieces == split(document, chunk_size=chunk_size, chunk_overlap=int(chunk_size * share))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), text=st.lists(_SNIPPETS, max_size=40).map("".join))
def test_split_keeps_pieces_inside_their_archive_member(data: st.DataObject, text: str) -> None:
    inner = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    borders = [0, *inner, len(text)]
    parts = tuple(
        Part(path=f"{number}.txt", start=start, end=end)
        for number, (start, end) in enumerate(pairwise(borders))
        if start < end
    )
    document = parsed(text, parts=parts)

    pieces = split(document, chunk_size=60, chunk_overlap=20)

    assert_complete(document, pieces, 60)
    by_path = {part.path: part for part in parts}
    for piece in pieces:
        assert piece.part is not None
        assert by_path[piece.part].start <= piece.start
        assert piece.end <= by_path[piece.part].end


def test_split_tells_headings_page_and_part_of_each_piece() -> None:
    filler = "Plain words stand here. " * 20
    text = f"# Guide\n\n{filler}\n\n## Install\n\n{filler}\n\n# 附录\n\n{filler}"
    document = with_headings(text)
    middle, end = text.index("## Install"), len(text)
    document = Parsed(
        text=text,
        media_type="text/markdown",
        headings=document.headings,
        pages=(Page(number=1, start=0, end=middle), Page(number=2, start=middle, end=end)),
    )

    pieces = split(document, chunk_size=600, chunk_overlap=100)

    assert [piece.headings for piece in pieces] == [("Guide",), ("Guide", "Install"), ("附录",)]
    assert [piece.page for piece in pieces] == [1, 2, 2]
    assert [piece.text.splitlines()[0] for piece in pieces] == ["# Guide", "## Install", "# 附录"]


def test_split_never_ends_a_piece_with_a_lone_heading() -> None:
    rng = random.Random(5)
    text = "".join(
        f"## Part {number}\n\n" + "Words of this part follow. " * rng.randint(1, 60) + "\n\n" for number in range(60)
    )

    pieces = split(with_headings(text), chunk_size=500, chunk_overlap=50)

    assert not [piece for piece in pieces if piece.text.splitlines()[-1].startswith("#")]


def test_split_merges_small_sections_up_to_the_size() -> None:
    text = "".join(f"## Point {number}\n\nA short remark.\n\n" for number in range(200))

    pieces = split(with_headings(text), chunk_size=1000, chunk_overlap=100)

    assert len(pieces) < 20
    assert all(piece.text.startswith("## Point") for piece in pieces)


@pytest.mark.parametrize(
    ("sentence", "stops"), [("This is one sentence of several words. ", "."), ("这是一个完整的句子，有几个词。", "。")]
)
def test_split_cuts_at_sentences_in_both_languages(sentence: str, stops: str) -> None:
    numbered = "".join(f"{number}{sentence}" for number in range(500))

    pieces = split(parsed(numbered), chunk_size=500, chunk_overlap=100)

    assert len(pieces) > 20
    assert all(piece.text.endswith(stops) and piece.text[0].isdigit() for piece in pieces)


def test_split_does_not_take_abbreviations_and_decimals_for_sentence_ends() -> None:
    text = "".join(
        f"Case {number}: Dr. Smith measured 3.14 V, e.g. By hand, as Mr. Jones did. " for number in range(200)
    )

    pieces = split(parsed(text), chunk_size=300, chunk_overlap=0)

    assert all(piece.text.startswith("Case") and piece.text.endswith("did.") for piece in pieces)


def test_split_keeps_a_fence_and_a_table_whole_when_they_fit() -> None:
    rng = random.Random(7)
    code = "```python\n" + "\n\n".join(f"value_{line} = {line}" for line in range(25)) + "\n```"
    table = "| name | size |\n|---|---|\n" + "".join(f"| Row no. {row}. | {row} |\n" for row in range(20))
    prose = ["Some prose comes before it. " * rng.randint(3, 40) for _ in range(40)]
    text, tables = "", []
    for number, paragraph in enumerate(prose):
        text += paragraph + "\n\n"
        if number % 2:
            tables.append(Span(start=len(text), end=len(text) + len(table)))
        text += (table if number % 2 else code) + "\n\n"

    pieces = split(parsed(text, tables=tuple(tables)), chunk_size=1000, chunk_overlap=100)

    assert len([piece for piece in pieces if code in piece.text]) >= 20
    assert len([piece for piece in pieces if table.strip() in piece.text]) >= 20


def test_split_cuts_a_long_table_between_rows() -> None:
    rows = [f"| Row {row}. It has text. And more. | {row * 7919 % 1000} |" for row in range(300)]
    text = "\n".join(rows)

    pieces = split(parsed(text, tables=(Span(start=0, end=len(text)),)), chunk_size=500, chunk_overlap=100)

    assert all(line in rows for piece in pieces for line in piece.text.splitlines())


def test_split_overlaps_neighbours_by_whole_sentences() -> None:
    text = "".join(f"Sentence number {number} says something. " for number in range(300))

    pieces = split(parsed(text), chunk_size=400, chunk_overlap=100)

    shared = [left.end - right.start for left, right in pairwise(pieces)]
    assert all(0 < characters <= 100 for characters in shared)
    assert all(piece.text.startswith("Sentence number") for piece in pieces)


def test_split_cuts_a_huge_text_as_it_would_cut_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"Sentence {number} says {number * 7919 % 1000}, not more. " for number in range(5000))
    whole = split(parsed(text))

    monkeypatch.setattr(cuts, "_SLAB", 20_000)
    in_slabs = split(parsed(text))

    assert_complete(parsed(text), in_slabs, 1000)
    assert len(set(in_slabs) ^ set(whole)) <= 4


def test_split_gives_nothing_for_blank_text() -> None:
    assert split(parsed("")) == []
    assert split(parsed(" \n\u3000\t" * 5000)) == []


@pytest.mark.parametrize(
    ("chunk_size", "chunk_overlap", "field"),
    [(49, 0, "chunk_size"), (20_001, 0, "chunk_size"), (100, 51, "chunk_overlap"), (100, -1, "chunk_overlap")],
)
def test_split_names_the_field_when_sizes_are_out_of_range(chunk_size: int, chunk_overlap: int, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        split(parsed("text"), chunk_size=chunk_size, chunk_overlap=chunk_overlap)

    assert caught.value.facts["field"] == field
    assert field in str(caught.value)
    assert field in caught.value.message("zh")


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "same sentence." * 60_000,
        "Same sentence. " * 60_000,
        "同样的句子。" * 100_000,
        "(" * 500_000,
        "." * 500_000,
        "```\n" * 100_000,
        " " * 1_000_000 + "x",
        "a\n" * 200_000,
        "\u0301" * 300_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_split_stays_linear_and_full_on_degenerate_text(text: str) -> None:
    started = time.process_time()

    pieces = split(parsed(text))

    assert time.process_time() - started < 5
    assert_complete(parsed(text), pieces, 1000)
    assert len(pieces) <= len(text) / 400 + 2
