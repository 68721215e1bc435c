"""What every embedder keeps to, the ones inside the process and the one behind an address."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gristmill.embed.ports import Embedder
from gristmill.embed.registry import EMBEDDERS, describe, open_embedder
from gristmill.embed.settings import EmbedSettings
from gristmill.errors import InvalidInput
from tests.unit.embed.service import running_service

_TEXTS = [
    "How to install a database on Linux",
    "数据库的安装步骤",
    "x",
    "A longer text. " * 30,
    "The cat sits on the mat.",
    "emoji 👩‍👩‍👧 and accents é e\u0301",
]
_ODD = ["", " \n\t\u3000", "\x00", "\ud800", "\u200b", "\x07"]


@pytest.fixture(scope="module", params=EMBEDDERS)
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    with running_service() as service:
        try:
            opened = open_embedder(request.param, EmbedSettings(base_url=service.url, model="words-16", batch_size=4))
        except InvalidInput as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        yield opened
        opened.close()


def test_embedder_gives_unit_rows_of_its_dimension(embedder: Embedder) -> None:
    vectors = embedder.embed_documents(_TEXTS)

    assert vectors.shape == (len(_TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_embedder_gives_an_empty_array_for_no_texts(embedder: Embedder) -> None:
    assert embedder.embed_documents([]).shape == (0, embedder.dimension)


def test_embedder_gives_a_unit_vector_for_a_query(embedder: Embedder) -> None:
    vector = embedder.embed_query("database installation")

    assert vector.shape == (embedder.dimension,)
    assert vector.dtype == np.float32
    assert np.isclose(np.linalg.norm(vector), 1, atol=1e-5)


def test_embedder_finds_the_text_nearest_to_a_query(embedder: Embedder) -> None:
    vectors = embedder.embed_documents(_TEXTS)

    # The second text says the same in Chinese.
    assert int(np.argmax(vectors @ embedder.embed_query("install database"))) in {0, 1}
    assert int(np.argmax(vectors @ embedder.embed_query("the cat on a mat"))) == 4


def test_embedder_gives_the_same_vector_whatever_the_batch(embedder: Embedder) -> None:
    together = embedder.embed_documents(_TEXTS)
    alone = np.concatenate([embedder.embed_documents([text]) for text in _TEXTS])
    backwards = embedder.embed_documents(_TEXTS[::-1])[::-1]

    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(together, backwards, atol=1e-5)


@pytest.mark.parametrize("odd", _ODD, ids=ascii)
def test_embedder_accepts_texts_without_readable_characters(embedder: Embedder, odd: str) -> None:
    vectors = embedder.embed_documents([odd, "ordinary text"])

    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.isfinite(embedder.embed_query(odd)).all()


def test_embedder_reads_on_behind_a_nul_and_a_lone_surrogate(embedder: Embedder) -> None:
    clean, dirty, cut = embedder.embed_documents(["the cat sits", "the\x00cat\ud800sits", "the"])

    assert np.allclose(clean, dirty, atol=1e-5)
    assert not np.allclose(clean, cut, atol=1e-2)


def test_embedder_looks_at_the_first_max_chars_only(embedder: Embedder) -> None:
    text = ("word " * embedder.max_chars)[: embedder.max_chars].rstrip()

    short, long = embedder.embed_documents([text, text + " something else entirely" * 1000])

    assert np.allclose(short, long, atol=1e-5)


def test_embedder_may_be_used_by_several_threads(embedder: Embedder) -> None:
    expected = [embedder.embed_query(text) for text in _TEXTS]

    with ThreadPoolExecutor(4) as pool:
        vectors = list(pool.map(embedder.embed_query, _TEXTS * 4))

    assert np.allclose(vectors, expected * 4, atol=1e-5)


def test_embedder_is_what_describe_says(embedder: Embedder) -> None:
    info = describe(embedder.name, EmbedSettings(model="words-16"))

    assert info.name == embedder.name
    assert info.model_id == embedder.model_id
    assert info.dimension in {embedder.dimension, None}
    assert info.max_chars == embedder.max_chars


def test_embedder_leaves_the_root_logger_alone(embedder: Embedder) -> None:
    before = logging.getLogger().level

    embedder.embed_query("text")

    assert logging.getLogger().level == before != logging.INFO
