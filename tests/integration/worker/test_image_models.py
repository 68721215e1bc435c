"""Other models than the one that comes along: a pair of encoders finds images by words, a service embeds from afar."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gristmill.errors import InvalidInput
from gristmill.index.model import SearchMode
from gristmill.tasks.model import TaskFilter, TaskState
from tests.integration.worker.test_image_datasets import Datasets, counts
from tests.material.images import encoded, formats
from tests.support.postgres import fresh_database
from tests.unit.embed.images.models import save_image_model, save_text_model, save_tokenizer
from tests.unit.embed.service import running_service

COLOURS = {"red": (1, -1, -1), "dog": (-1, 1, -1), "sky": (-1, -1, 1)}
"""What words look like; dogs are green here."""


def pair(folder: Path) -> dict[str, Any]:
    """Settings that name a pair of encoders: of images it knows the colours, and so of words."""
    return {
        "embedder": "image-onnx",
        "onnx_model": save_image_model(folder / "eyes.onnx"),
        "onnx_text_model": save_text_model(folder / "words.onnx", colours=COLOURS),
        "onnx_tokenizer": save_tokenizer(folder / "tokenizer.json"),
    }


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_pair_of_encoders_finds_images_by_words(tmp_path: Path, database: str) -> None:
    sections = {"database": {"url": fresh_database()}} if database == "postgres" else {}
    (tmp_path / "models").mkdir()
    works = Datasets(tmp_path, images=pair(tmp_path / "models"), **sections)
    try:
        for number, colour in enumerate(("red", "green", "blue")):
            works.picture(f"{number}.jpg", Image.new("RGB", (80, 60), colour))
        assert counts(works.built()) == {"total": 3, "embedded": 3}

        for number, word in enumerate(COLOURS):
            for mode in (SearchMode.VECTOR, SearchMode.HYBRID):
                hit = works.app.searcher.search(word, collection="mill", mode=mode).hits[0]
                assert (word, hit.name) == (word, f"{number}.jpg")
        page = works.app.images.like_upload(encoded(Image.new("RGB", (9, 9), "green"), "PNG"), name="query.png")
        assert page.hits[0].image.name == "1.jpg"
    finally:
        works.app.close()


def seen_by_a_service(one: dict[str, str], dimension: int) -> list[float]:
    """What a service makes of an image, its colours, or of a word for one."""
    assert dimension == 3
    if "text" in one:
        return [float(part) for part in COLOURS.get(one["text"], (1, 1, 1))]
    data = base64.b64decode(one["image"].partition(",")[2])
    with Image.open(io.BytesIO(data)) as image:
        colour = image.convert("RGB").getpixel((0, 0))
    assert isinstance(colour, tuple)
    return [part / 127.5 - 1 for part in colour]


def test_service_finds_images_by_words_and_by_image(tmp_path: Path) -> None:
    with running_service() as service:
        service.dimension = 3
        service.vector = seen_by_a_service
        images = {"embedder": "image-http", "http_base_url": service.url, "http_model": "eyes", "http_dimension": 3}
        works = Datasets(tmp_path, images=images)
        try:
            for number, colour in enumerate(("red", "lime", "blue")):
                works.picture(f"{number}.jpg", Image.new("RGB", (80, 60), colour))
            assert counts(works.built()) == {"total": 3, "embedded": 3}

            hit = works.app.searcher.search("sky", collection="mill", mode=SearchMode.VECTOR).hits[0]
            page = works.app.images.like_upload(encoded(Image.new("RGB", (9, 9), "lime"), "PNG"), name="query.png")
            assert (hit.name, page.hits[0].image.name) == ("2.jpg", "1.jpg")
        finally:
            works.app.close()


def test_service_that_is_busy_costs_time_and_no_image(tmp_path: Path) -> None:
    with running_service() as service:
        service.dimension = 3
        service.vector = seen_by_a_service
        images = {"embedder": "image-http", "http_base_url": service.url, "http_model": "eyes", "http_dimension": 3}
        works = Datasets(tmp_path, images=images)
        try:
            works.picture("a.jpg", Image.new("RGB", (80, 60), "red"))
            service.misbehave = lambda: (429, {}, b"{}")
            task = works.app.datasets.build(["mill"])
            for _ in range(4):
                works.attempt()
            (batch,) = works.app.tasks.find(TaskFilter(kinds=["generate_embeddings"]))
            assert (batch.state, batch.error and batch.error.code) == (TaskState.PENDING, "embedding_service_busy")
            service.misbehave = None

            ended = works.finish(task)

            (detail,) = (ended.result or {})["datasets"]
            assert counts(detail) == {"total": 1, "embedded": 1}
        finally:
            works.app.close()


def test_model_that_is_not_there_fails_the_build_and_says_which_setting_is_wrong(tmp_path: Path) -> None:
    works = Datasets(tmp_path, images={"embedder": "image-onnx", "onnx_model": tmp_path / "nowhere.onnx"})
    try:
        works.picture("a.jpg", 1)

        (detail,) = (works.build().result or {})["datasets"]

        assert (detail["status"], detail["error"]["code"]) == ("failed", "image_model_missing")
        assert detail["error"]["facts"]["field"] == "images.onnx_model"
        assert str(tmp_path) not in str(detail["error"]["facts"])
    finally:
        works.app.close()


def test_every_format_is_taken_in(tmp_path: Path) -> None:
    works = Datasets(tmp_path)
    try:
        (works.folder / "mill").mkdir()
        for name, _, data in formats():
            works.write(f"mill/{name}", data)

        detail = works.built()

        shown = works.app.index.indexed(works.app.index.collection("mill"))
        assert counts(detail) == {"total": len(formats()), "embedded": len(formats())}
        assert {one.name: one.media_type for one in shown} == {name: kind for name, kind, _ in formats()}
        assert all(works.app.images.thumbnail(one.document_id)[0].startswith(b"\xff\xd8") for one in shown)
    finally:
        works.app.close()


def test_words_are_refused_where_there_is_no_text_encoder(tmp_path: Path) -> None:
    works = Datasets(tmp_path)
    try:
        works.picture("a.jpg", 1)
        works.built()

        with pytest.raises(InvalidInput) as caught:
            works.app.searcher.search("red", collection="mill", mode=SearchMode.VECTOR)
        assert caught.value.code == "embedder_reads_no_text"
        assert works.app.searcher.search("a", collection="mill", mode=SearchMode.HYBRID).hits[0].name == "a.jpg"
    finally:
        works.app.close()
