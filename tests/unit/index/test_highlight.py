"""What a hit shows of its text."""

import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from gristmill.index.highlight import highlight
from gristmill.index.model import Fragment


def tokenise(text: str) -> Iterator[tuple[int, int, str]]:
    """Lower-cased words without a plural s, and pairs of Chinese characters."""
    for match in re.finditer(r"[a-z]+|[\u4e00-\u9fff]{2,}", text, re.IGNORECASE):
        word, start = match.group(), match.start()
        if word.isascii():
            yield start, match.end(), word.lower().removesuffix("s")
            continue
        for offset in range(len(word) - 1):
            yield start + offset, start + offset + 2, word[offset : offset + 2]


def marked(fragment: Fragment) -> list[str]:
    return [fragment.text[start:end] for start, end in fragment.ranges]


def test_highlight_marks_words_that_share_a_stem() -> None:
    fragments = highlight("One cat, two Cats, a catalogue.", {"cat"}, tokenise)

    assert [marked(fragment) for fragment in fragments] == [["cat", "Cats"]]


def test_highlight_merges_overlapping_chinese_pairs() -> None:
    fragments = highlight("先备份，再安装数据库。", {"安装", "数据", "据库"}, tokenise)

    assert [marked(fragment) for fragment in fragments] == [["安装数据库"]]


def test_highlight_puts_the_fragment_with_most_terms_first() -> None:
    gap = "nothing of interest here " * 20
    text = f"alpha alpha alpha {gap} alpha beta gamma {gap} beta"

    fragments = highlight(text, {"alpha", "beta", "gamma"}, tokenise, fragment_chars=60)

    assert [marked(fragment) for fragment in fragments] == [["alpha", "beta", "gamma"], ["alpha"] * 3, ["beta"]]


def test_highlight_gives_no_more_fragments_than_asked() -> None:
    text = ("match " + "filler " * 50) * 10

    assert len(highlight(text, {"match"}, tokenise, max_fragments=2, fragment_chars=50)) == 2


def test_highlight_shows_the_beginning_when_nothing_matches() -> None:
    fragments = highlight("  Some words stand here for all to read.", {"absent"}, tokenise, fragment_chars=20)

    assert fragments == [Fragment(text="Some words stand", ranges=())]
    assert highlight(" \n ", {"absent"}, tokenise) == []


@given(
    words=st.lists(
        st.sampled_from(["match", "matches", "数据库安装", "filler", "填充内容。", "x" * 90, "\n", "match" * 9])
    ),
    size=st.integers(10, 120),
    joint=st.sampled_from([" ", "，", ""]),
)
def test_highlight_fragments_are_exact_short_and_do_not_overlap(words: list[str], size: int, joint: str) -> None:
    text = joint.join(words)

    fragments = highlight(text, {"match", "matche", "数据", "据库"}, tokenise, max_fragments=5, fragment_chars=size)

    for fragment in fragments:
        assert fragment.text in text
        assert 0 < len(fragment.text) <= size
        assert fragment.text == fragment.text.strip()
        assert list(fragment.ranges) == sorted(fragment.ranges)
        assert all(0 <= start < end <= len(fragment.text) for start, end in fragment.ranges)
    assert bool(text.strip()) == bool(fragments)


def test_highlight_cuts_between_words() -> None:
    text = "wonderful " * 30 + "match " + "beautiful " * 30

    (fragment,) = highlight(text, {"match"}, tokenise, fragment_chars=77)

    assert set(fragment.text.split()) == {"wonderful", "match", "beautiful"}
    assert marked(fragment) == ["match"]
