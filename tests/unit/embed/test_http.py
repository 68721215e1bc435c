"""The embedder behind an address, when the service misbehaves."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gristmill.embed.http import HttpEmbedder
from gristmill.embed.settings import EmbedSettings
from gristmill.errors import GristmillError, StepFailed, Unavailable
from tests.unit.embed.service import Service, running_service


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as running:
        yield running


@pytest.fixture
def embedder(service: Service) -> Iterator[HttpEmbedder]:
    opened = HttpEmbedder(
        EmbedSettings(base_url=service.url + "/", api_key="key-1", model="m", batch_size=2, timeout_seconds=5)
    )
    yield opened
    opened.close()


def test_http_sends_the_key_the_model_and_batches(service: Service, embedder: HttpEmbedder) -> None:
    embedder.embed_documents(["a", "b", "c", "", "e\x00"])

    assert [request["input"] for request in service.requests] == [["a", "b"], ["c", "."], ["e"]]
    assert {request["model"] for request in service.requests} == {"m"}
    assert set(service.keys) == {"Bearer key-1"}


def test_http_asks_for_the_dimension_once(service: Service, embedder: HttpEmbedder) -> None:
    assert (embedder.dimension, embedder.dimension) == (16, 16)
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 529])
def test_http_is_unavailable_when_trying_again_may_help(service: Service, embedder: HttpEmbedder, status: int) -> None:
    service.misbehave = lambda: (status, {}, b"<html>busy</html>")

    with pytest.raises(Unavailable) as caught:
        embedder.embed_query("text")

    assert caught.value.transient
    assert caught.value.facts["status"] == status
    assert "retry_after_seconds" not in caught.value.facts


def test_http_tells_how_long_the_service_wants_to_be_left_alone(service: Service, embedder: HttpEmbedder) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    waits = []
    for value in ("7", date, "soon"):
        service.misbehave = lambda value=value: (429, {"Retry-After": value}, b"{}")
        with pytest.raises(Unavailable) as caught:
            embedder.embed_query("text")
        waits.append(caught.value.facts.get("retry_after_seconds"))

    assert waits[0] == 7
    assert isinstance(waits[1], float)
    assert 60 < waits[1] <= 90
    assert waits[2] is None


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422])
def test_http_fails_for_good_when_the_service_refuses(service: Service, embedder: HttpEmbedder, status: int) -> None:
    content = json.dumps({"error": {"message": "no model m for key-1"}}).encode()
    service.misbehave = lambda: (status, {}, content)

    with pytest.raises(StepFailed) as caught:
        embedder.embed_documents(["text"])

    assert caught.value.facts["detail"] == "no model m for ***"
    assert str(status) in str(caught.value)
    assert "key-1" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"data": null}',
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 0, "embedding": [1, "x"]}]}',
        b'{"data": [{"index": 5, "embedding": [1, 2]}]}',
        b'{"data": [{"index": 0, "embedding": "AAAA"}]}',
        b'{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1, 2]}]}',
    ],
)
def test_http_fails_for_good_when_the_answer_is_unreadable(
    service: Service, embedder: HttpEmbedder, content: bytes
) -> None:
    service.misbehave = lambda: (200, {}, content)

    with pytest.raises(StepFailed) as caught:
        embedder.embed_query("text")

    assert caught.value.code == "embedding_answer_unreadable"


@pytest.mark.parametrize("numbers", [b"[0, 0]", b"[NaN, 1]", b"[Infinity, 1]"])
def test_http_fails_for_good_when_a_vector_has_no_direction(
    service: Service, embedder: HttpEmbedder, numbers: bytes
) -> None:
    service.misbehave = lambda: (200, {}, b'{"data": [{"index": 0, "embedding": ' + numbers + b"}]}")

    with pytest.raises(StepFailed) as caught:
        embedder.embed_query("text")

    assert caught.value.code == "embedding_without_direction"


def test_http_fails_for_good_when_the_dimension_differs(service: Service, embedder: HttpEmbedder) -> None:
    embedder.embed_query("text")
    service.dimension = 8

    with pytest.raises(StepFailed) as caught:
        embedder.embed_query("text")

    assert (caught.value.facts["expected"], caught.value.facts["got"]) == (16, 8)


def test_http_holds_the_service_to_the_configured_dimension(service: Service) -> None:
    embedder = HttpEmbedder(EmbedSettings(base_url=service.url, model="m", dimension=32))

    assert embedder.dimension == 32
    with pytest.raises(StepFailed):
        embedder.embed_query("text")
    embedder.close()


def test_http_is_unavailable_when_nothing_listens() -> None:
    with running_service() as gone:
        url = gone.url
    embedder = HttpEmbedder(EmbedSettings(base_url=url, api_key="key-1", model="m", timeout_seconds=2))

    with pytest.raises(Unavailable) as caught:
        embedder.embed_documents(["text"])

    assert caught.value.facts["host"] == "127.0.0.1"
    assert isinstance(caught.value, GristmillError)
    assert "key-1" not in repr(caught.value)
    embedder.close()
