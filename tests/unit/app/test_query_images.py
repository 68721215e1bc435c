"""The image of a query is read in a process of its own, which may die or hang without taking the service along."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from gristmill.app.query_images import QueryImages
from gristmill.embed.images import efficientnet
from gristmill.errors import InvalidInput, StepFailed, Unavailable
from gristmill.index.model import Document, DocumentState, Material, Origin, Space
from gristmill.settings import Settings
from gristmill.steps.image.regions import Region
from tests.material.images import encoded, giant_png, photograph
from tests.support.waiting import eventually

SPACE = Space(id=1, collection_id=1, embedder="efficientnet", model_id=efficientnet.INFO.model_id, dimension=1280)
PHOTO = encoded(photograph(), "JPEG")


@pytest.fixture
def queries(tmp_path: Path) -> Iterator[QueryImages]:
    queries = QueryImages(Settings(data=tmp_path))
    yield queries
    queries.close()


def readers() -> list[psutil.Process]:
    """The processes behind the queries of this one."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "gristmill.worker.query_images" in " ".join(child.cmdline()):
                found.append(child)
    return found


def reader() -> psutil.Process:
    """The only one."""
    (found,) = readers()
    return found


def test_vector_of_an_image_is_a_direction_and_that_of_a_part_another(queries: QueryImages) -> None:
    whole = queries.image(SPACE, PHOTO, name="photo.jpg")
    part = queries.image(SPACE, PHOTO, name="photo.jpg", region=Region(x=0, y=300, width=300, height=300))

    assert whole.shape == (1280,)
    assert abs(float(np.linalg.norm(whole)) - 1) < 1e-5
    assert float(whole @ part) < 0.9


def test_registered_image_is_read_from_its_place(queries: QueryImages, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    document = Document(
        id=1,
        collection="mill",
        source=str(path),
        origin=Origin.PATH,
        name="photo.jpg",
        material=Material.IMAGE,
        state=DocumentState.INDEXED,
        created_at=0,
        updated_at=0,
        root=str(tmp_path),
    )

    found = queries.document(SPACE, document, region=Region(x=0, y=0, width=512, height=600))

    assert float(found @ queries.image(SPACE, PHOTO, name="photo.jpg")) > 0.99


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "image_empty"), (b"words", "image_unreadable"), (giant_png(), "image_too_large")]
)
def test_bad_image_is_refused_and_the_next_one_read(queries: QueryImages, data: bytes, code: str) -> None:
    with pytest.raises(StepFailed) as caught:
        queries.image(SPACE, data, name="query.png")

    assert caught.value.code == code
    assert queries.image(SPACE, PHOTO, name="photo.jpg").shape == (1280,)


def test_words_are_refused_by_a_model_that_knows_images_alone(queries: QueryImages) -> None:
    with pytest.raises(InvalidInput) as caught:
        queries.text(SPACE, "a cat")
    assert caught.value.code == "embedder_reads_no_text"


def test_death_between_two_queries_is_not_noticed(queries: QueryImages) -> None:
    queries.image(SPACE, PHOTO, name="photo.jpg")
    first = reader()
    first.kill()
    eventually(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)

    assert queries.image(SPACE, PHOTO, name="photo.jpg").shape == (1280,)
    assert reader().pid != first.pid


def test_image_that_kills_two_readers_is_told_and_the_next_one_read(queries: QueryImages) -> None:
    queries.image(SPACE, PHOTO, name="photo.jpg")
    failures: list[StepFailed] = []

    def ask() -> None:
        with pytest.raises(StepFailed) as caught:
            queries.image(SPACE, PHOTO, name="killer.jpg")
        failures.append(caught.value)

    first = reader()
    os.kill(first.pid, signal.SIGSTOP)
    asking = threading.Thread(target=ask)
    asking.start()
    # Whoever has the question in hand dies of it.
    eventually(queries._lock.locked)
    first.kill()
    second = eventually(lambda: next((found for found in readers() if found.pid != first.pid), None), 20)
    second.kill()
    asking.join(timeout=20)

    assert [(failure.code, failure.facts["name"]) for failure in failures] == [("image_query_died", "killer.jpg")]
    assert queries.image(SPACE, PHOTO, name="photo.jpg").shape == (1280,)


def test_reader_that_hangs_is_replaced(tmp_path: Path) -> None:
    queries = QueryImages(Settings(data=tmp_path), timeout_seconds=8.0)
    try:
        queries.image(SPACE, PHOTO, name="photo.jpg")
        first = reader()
        os.kill(first.pid, signal.SIGSTOP)

        with pytest.raises(Unavailable) as caught:
            queries.image(SPACE, PHOTO, name="photo.jpg")

        assert caught.value.code == "image_query_too_slow"
        assert queries.image(SPACE, PHOTO, name="photo.jpg").shape == (1280,)
        assert reader().pid != first.pid
    finally:
        queries.close()


def test_reader_ends_with_who_asked(tmp_path: Path) -> None:
    queries = QueryImages(Settings(data=tmp_path))
    queries.image(SPACE, PHOTO, name="photo.jpg")
    process = reader()

    queries.close()

    eventually(lambda: not process.is_running())
