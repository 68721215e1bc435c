"""An edit changes the pieces next to it and no others: that is what makes indexing again cheap."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.steps.model import Parsed
from gristmill.steps.split import split

_LETTERS = "etaoinshrdlucmfwypvbgk"


def english(size: int, seed: int, joint: str) -> str:
    rng = random.Random(seed)
    words = ["".join(rng.choices(_LETTERS, k=rng.randint(2, 10))) for _ in range(3000)]
    paragraphs, length = [], 0
    while length < size:
        sentences = (
            " ".join(rng.choices(words, k=rng.randint(5, 25))).capitalize() + "." for _ in range(rng.randint(2, 9))
        )
        paragraphs.append(" ".join(sentences))
        length += len(paragraphs[-1]) + len(joint)
    return joint.join(paragraphs)


def chinese(size: int, seed: int, joint: str) -> str:
    rng = random.Random(seed)
    characters = [chr(0x4E00 + rng.randint(0, 5000)) for _ in range(1500)]
    paragraphs, length = [], 0
    while length < size:
        clauses = ("".join(rng.choices(characters, k=rng.randint(5, 20))) for _ in range(rng.randint(2, 20)))
        paragraphs.append("".join(clause + rng.choice("，，。") for clause in clauses) + "。")
        length += len(paragraphs[-1]) + len(joint)
    return joint.join(paragraphs)


def changed(before: str, after: str, **sizes: int) -> int:
    """How many pieces of ``after`` would have to be embedded anew."""
    old = Counter(piece.text for piece in split(Parsed(text=before, media_type="text/plain"), **sizes))
    new = Counter(piece.text for piece in split(Parsed(text=after, media_type="text/plain"), **sizes))
    return (new - old).total()


_MAKERS: dict[str, tuple[Callable[[int, int, str], str], str, str]] = {
    "english paragraphs": (english, "\n\n", "A new paragraph. It stands at the top of all others.\n\n"),
    "english in one line": (english, " ", "A new paragraph. It stands at the top of all others. "),
    "chinese paragraphs": (chinese, "\n", "这是新的一段。它在全文的最前面，只有两句话。\n"),
    "chinese in one line": (chinese, "", "这是新的一段。它在全文的最前面，只有两句话。"),
}


@pytest.mark.parametrize("maker", _MAKERS)
def test_split_changes_a_handful_of_pieces_when_a_paragraph_is_put_on_top(maker: str) -> None:
    make, joint, paragraph = _MAKERS[maker]
    text = make(1_000_000, 1, joint)

    for times in (1, 2, 7):
        assert changed(text, paragraph * times + text) <= 8


@pytest.mark.parametrize("maker", _MAKERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_split_changes_a_handful_of_pieces_wherever_the_edit_is(maker: str, data: st.DataObject) -> None:
    make, joint, paragraph = _MAKERS[maker]
    text = make(60_000, data.draw(st.integers(0, 10**6)), joint)
    at = data.draw(st.integers(0, len(text)))
    removed = data.draw(st.integers(0, 600))
    inserted = data.draw(st.sampled_from(["", "x", paragraph, paragraph * 5]))
    chunk_size = data.draw(st.sampled_from([300, 1000, 2000]))

    edited = text[:at] + inserted + text[at + removed :]

    assert changed(text, edited, chunk_size=chunk_size, chunk_overlap=chunk_size // 5) <= 8 + len(inserted) // 100


def test_split_changes_a_handful_of_pieces_of_text_without_any_border() -> None:
    rng = random.Random(11)
    text = "".join(rng.choices("ABCDEFGHabcdefgh0123456789+/", k=300_000))

    assert changed(text, "new" + text) <= 8


def test_split_changes_a_handful_of_pieces_when_much_is_repeated() -> None:
    rng = random.Random(13)
    notice = "This page was left blank on purpose. All rights are reserved by the owner."
    others = english(300_000, 17, "\n\n").split("\n\n")
    text = "\n\n".join(rng.choice([notice, notice, other]) for other in others)

    assert changed(text, "One more paragraph on top.\n\n" + text) <= 8
