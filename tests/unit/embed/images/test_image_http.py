"""The image embedder behind an address: what it sends, and what it makes of failures."""

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from gristmill.embed.images.http import HttpImageEmbedder
from gristmill.embed.images.settings import ImageEmbedSettings
from gristmill.errors import StepFailed, Unavailable
from tests.unit.embed.images.pictures import picture
from tests.unit.embed.service import Service, running_service, vector_of


def vector_of_input(one: dict[str, Any], dimension: int) -> list[float]:
    return vector_of(" ".join(one.values()), dimension)


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as running:
        running.vector = vector_of_input
        yield running


@pytest.fixture
def embedder(service: Service) -> Iterator[HttpImageEmbedder]:
    opened = HttpImageEmbedder(
        ImageEmbedSettings(
            http_base_url=service.url, http_api_key="key-1", http_model="m", http_batch_size=2, http_timeout_seconds=5
        )
    )
    yield opened
    opened.close()


def test_http_sends_images_in_batches_and_texts_as_such(service: Service, embedder: HttpImageEmbedder) -> None:
    embedder.embed_images([picture(seed) for seed in range(3)])
    embedder.embed_text("a red cat\x00")

    sent = [[*one] for request in service.requests for one in request["input"]]
    assert [len(request["input"]) for request in service.requests] == [2, 1, 1]
    assert sent == [["image"], ["image"], ["image"], ["text"]]
    assert service.requests[-1]["input"] == [{"text": "a red cat"}]
    assert {request["model"] for request in service.requests} == {"m"}
    assert set(service.keys) == {"Bearer key-1"}


def test_http_sends_no_more_of_a_large_image_than_models_look_at(service: Service, embedder: HttpImageEmbedder) -> None:
    embedder.embed_images([picture(1, 3000, 2000), Image.new("RGB", (40, 30), "red")])

    large, small = (len(one["image"]) for one in service.requests[0]["input"])
    assert small < 2000
    assert large < 100_000


def test_http_asks_for_the_dimension_of_image_vectors_once(service: Service, embedder: HttpImageEmbedder) -> None:
    assert (embedder.dimension, embedder.dimension) == (16, 16)
    assert len(service.requests) == 1


def test_http_is_unavailable_for_images_when_trying_again_may_help(
    service: Service, embedder: HttpImageEmbedder
) -> None:
    service.misbehave = lambda: (429, {"Retry-After": "7"}, b"{}")

    with pytest.raises(Unavailable) as caught:
        embedder.embed_images([picture(1)])

    assert caught.value.facts["retry_after_seconds"] == 7


def test_http_fails_for_good_when_the_service_refuses_an_image(service: Service, embedder: HttpImageEmbedder) -> None:
    service.misbehave = lambda: (422, {}, b'{"error": {"message": "m takes text alone, key-1"}}')

    with pytest.raises(StepFailed) as caught:
        embedder.embed_images([picture(1)])

    assert caught.value.facts["detail"] == "m takes text alone, ***"
