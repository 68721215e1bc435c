"""What every image embedder keeps to, the ones inside the process and the one behind an address."""

import os
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gristmill.embed.images.ports import ImageEmbedder
from gristmill.embed.images.registry import IMAGE_EMBEDDERS, describe, open_image_embedder
from gristmill.embed.images.settings import ImageEmbedSettings
from gristmill.errors import InvalidInput
from tests.unit.embed.images.models import save_pair
from tests.unit.embed.images.pictures import ALTERATIONS, picture
from tests.unit.embed.service import running_service, vector_of

PICTURES = [picture(seed) for seed in range(9)]
ODD = [
    Image.new("RGB", (300, 200)),
    Image.new("RGB", (1, 1), (9, 200, 30)),
    Image.new("RGB", (900, 2), "navy"),
    Image.new("RGB", (1, 700), "white"),
]


def vector_of_input(one: dict[str, str], dimension: int) -> list[float]:
    """What a service makes of a text, or of the colours of an image."""
    if "text" in one:
        return vector_of(one["text"], dimension)
    head, content = one["image"].split(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(BytesIO(b64decode(content)))
    assert max(image.size) <= 512
    seen: Any = np.asarray(image.resize((4, dimension // 12)), dtype=np.float64)
    return [float(value) for value in seen.ravel() - 127.3]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageEmbedSettings]:
    folder = tmp_path_factory.mktemp("models")
    with running_service() as service:
        service.dimension = 48
        service.vector = vector_of_input
        yield replace(
            save_pair(folder),
            http_base_url=service.url,
            http_model="pictures-48",
            http_batch_size=4,
            cache=folder / "cache",
        )


@pytest.fixture(scope="module", params=IMAGE_EMBEDDERS)
def embedder(request: pytest.FixtureRequest, settings: ImageEmbedSettings) -> Iterator[ImageEmbedder]:
    try:
        opened = open_image_embedder(request.param, settings)
    except InvalidInput as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    yield opened
    opened.close()


def test_image_embedder_gives_unit_rows_of_its_dimension(embedder: ImageEmbedder) -> None:
    vectors = embedder.embed_images(PICTURES)

    assert vectors.shape == (len(PICTURES), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_image_embedder_gives_an_empty_array_for_no_images(embedder: ImageEmbedder) -> None:
    assert embedder.embed_images([]).shape == (0, embedder.dimension)


def test_image_embedder_gives_the_same_vector_whatever_the_batch(embedder: ImageEmbedder) -> None:
    together = embedder.embed_images(PICTURES)
    alone = np.concatenate([embedder.embed_images([image]) for image in PICTURES])
    backwards = embedder.embed_images(PICTURES[::-1])[::-1]

    assert np.allclose(together, alone, atol=1e-4)
    assert np.allclose(together, backwards, atol=1e-4)


@pytest.mark.parametrize("alteration", ["jpeg", "small"])
def test_image_embedder_finds_the_picture_that_a_copy_was_made_of(embedder: ImageEmbedder, alteration: str) -> None:
    vectors = embedder.embed_images(PICTURES)

    copies = embedder.embed_images([ALTERATIONS[alteration](image) for image in PICTURES])

    assert (copies @ vectors.T).argmax(axis=1).tolist() == list(range(len(PICTURES)))


def test_image_embedder_takes_images_of_any_size_and_leaves_them_as_they_are(embedder: ImageEmbedder) -> None:
    sizes = [image.size for image in ODD]

    vectors = embedder.embed_images(ODD)

    assert np.isfinite(vectors).all()
    assert [image.size for image in ODD] == sizes


def test_image_embedder_may_be_used_by_several_threads(embedder: ImageEmbedder) -> None:
    expected = embedder.embed_images(PICTURES)

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda image: embedder.embed_images([image])[0], PICTURES * 2))

    assert np.allclose(rows, np.concatenate([expected, expected]), atol=1e-4)


@pytest.mark.parametrize("text", ["a red cat", "", "\x00\ud800", "dog " * 5000])
def test_image_embedder_gives_a_unit_vector_for_any_text_or_says_that_it_reads_none(
    embedder: ImageEmbedder, text: str
) -> None:
    if not embedder.reads_text:
        with pytest.raises(InvalidInput) as caught:
            embedder.embed_text(text)
        assert caught.value.code == "embedder_reads_no_text"
        assert caught.value.facts["embedder"] == embedder.name
        return

    vector = embedder.embed_text(text)

    assert vector.shape == (embedder.dimension,)
    assert vector.dtype == np.float32
    assert np.isclose(np.linalg.norm(vector), 1, atol=1e-5)


def test_image_embedder_is_what_describe_says(embedder: ImageEmbedder, settings: ImageEmbedSettings) -> None:
    info = describe(embedder.name, settings)

    assert info.name == embedder.name
    assert info.model_id == embedder.model_id != ""
    assert info.dimension in {embedder.dimension, None}
    assert info.reads_text == embedder.reads_text
    assert embedder.side > 0
