"""An image dataset is brought up to date with its folder: what is new, changed, moved, gone, and what is wrong."""

import base64
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gristmill.errors import Conflict, InvalidInput, NotFound, Unavailable
from gristmill.index.model import DocumentFilter
from gristmill.kinds import GenerateEmbeddings
from gristmill.steps.fetch import files
from gristmill.tasks.model import Task, TaskFilter, TaskState
from tests.integration.worker.test_pipelines import Works
from tests.material.images import encoded, giant_png, photograph
from tests.support.postgres import fresh_database

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def tile(number: int) -> Image.Image:
    """A part of a photograph; no two numbers below 400 give the same."""
    across, down = divmod(number, 20)
    return photograph().crop((across * 10, down * 10, across * 10 + 160, down * 10 + 120))


class Datasets(Works):
    """A Gristmill with a folder of datasets."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        images = {"root": folder / "files", "batch_size": 4, "ocr": "off", **sections.pop("images", {})}
        super().__init__(folder, images=images, **sections)

    def picture(self, name: str, image: Image.Image | int) -> Path:
        """A JPEG file in the dataset ``mill``."""
        (self.folder / "mill" / name).parent.mkdir(parents=True, exist_ok=True)
        shown = tile(image) if isinstance(image, int) else image
        return self.write(f"mill/{name}", encoded(shown, "JPEG"))

    def build(self, *names: str, **options: Any) -> Task:
        """The ended task that brought datasets up to date."""
        return self.finish(self.app.datasets.build(names or ["mill"], **options))

    def built(self, **options: Any) -> dict[str, Any]:
        """What came of the one dataset."""
        (detail,) = (self.build(**options).result or {})["datasets"]
        assert detail["status"] == "completed", detail
        return dict(detail)

    def progress_file(self, dataset: str = "mill") -> dict[str, Any]:
        """As a front end reads it."""
        found: dict[str, Any] = json.loads((self.app.paths.progress / f"{dataset}.json").read_text("utf-8"))
        return found

    def names(self) -> set[str]:
        return {document.name for document in self.app.index.documents(DocumentFilter(collection="mill"), limit=1000)}


@pytest.fixture(params=["sqlite", "postgres"])
def datasets(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Datasets]:
    database = {"url": fresh_database()} if request.param == "postgres" else {}
    works = Datasets(tmp_path, database=database)
    yield works
    in_use = works.app.database.checked_out()
    works.app.close()
    assert in_use == 0


def counts(detail: dict[str, Any]) -> dict[str, int]:
    told = ("total", "embedded", "reused", "skipped", "failed", "removed")
    return {name: detail[name] for name in told if detail[name]}


def test_dataset_is_embedded_once_and_then_only_what_has_changed(datasets: Datasets) -> None:
    for number in range(10):
        datasets.picture(f"tile {number}.jpg", number)
    first = datasets.built()
    second = datasets.built()
    datasets.picture("tile 3.jpg", 333)
    datasets.picture("new.jpg", 334)
    (datasets.folder / "mill" / "tile 5.jpg").unlink()

    third = datasets.built()

    assert counts(first) == {"total": 10, "embedded": 10}
    assert counts(second) == {"total": 10, "skipped": 10}
    assert counts(third) == {"total": 10, "embedded": 2, "skipped": 8, "removed": 1}
    assert "tile 5.jpg" not in datasets.names()
    assert {"new.jpg", "tile 3.jpg"} <= datasets.names()


def test_moved_image_keeps_its_embedding(datasets: Datasets) -> None:
    datasets.picture("loft/stone.jpg", 1)
    datasets.picture("wheel.jpg", 2)
    datasets.built()
    (datasets.folder / "mill" / "yard").mkdir()
    shutil.move(datasets.folder / "mill" / "loft" / "stone.jpg", datasets.folder / "mill" / "yard" / "quern.jpg")

    detail = datasets.built()

    assert counts(detail) == {"total": 2, "reused": 1, "skipped": 1, "removed": 1}
    assert datasets.names() == {"quern.jpg", "wheel.jpg"}
    (hit,) = datasets.app.searcher.search("yard quern", collection="mill", limit=1).hits
    assert (hit.name, hit.place.headings) == ("quern.jpg", ("yard",))


def test_same_picture_twice_is_embedded_once(datasets: Datasets) -> None:
    for name in ("a.jpg", "b.jpg"):
        datasets.picture(name, 7)

    assert counts(datasets.built()) == {"total": 2, "embedded": 2}
    (group,) = datasets.app.images.duplicates("mill", distance=0)
    assert group.is_exact
    assert [member.name for member in group.members] == ["a.jpg", "b.jpg"]


def test_file_written_anew_with_the_same_bytes_is_not_embedded_again(datasets: Datasets) -> None:
    path = datasets.picture("a.jpg", 1)
    datasets.built()
    datasets.clock.pass_time(10)
    os.utime(path, ns=(datasets.clock.now() * 1000, datasets.clock.now() * 1000))

    assert counts(datasets.built()) == {"total": 1, "skipped": 1}


def test_force_embeds_everything_again(datasets: Datasets) -> None:
    datasets.picture("a.jpg", 1)
    datasets.built()

    assert counts(datasets.built(force=True)) == {"total": 1, "embedded": 1}

    (document,) = datasets.app.index.documents(DocumentFilter(collection="mill"), limit=2)
    assert document.version is not None
    assert document.version.number == 2


def test_bad_images_are_listed_with_their_reasons_and_sink_nothing(datasets: Datasets) -> None:
    for number in range(6):
        datasets.picture(f"{number}.jpg", number)
    whole = encoded(tile(9), "JPEG")
    bad = {
        "half.jpg": (whole[: len(whole) // 2], "image_truncated"),
        "words.png": (b"not an image at all", "image_unreadable"),
        "nothing.gif": (b"", "image_empty"),
        "giant.png": (giant_png(), "image_too_large"),
        "drawing.webp": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image_format_unsupported"),
    }
    for name, (data, _) in bad.items():
        datasets.write(f"mill/{name}", data)

    task = datasets.build()

    (detail,) = (task.result or {})["datasets"]
    assert counts(detail) == {"total": 11, "embedded": 6, "failed": 5}
    items = datasets.app.tasks.items(detail["task_id"])
    assert {item["name"]: item["error"]["code"] for item in items} == {name: code for name, (_, code) in bad.items()}
    told = datasets.progress_file()["failures"]
    assert {failure["name"] for failure in told} == set(bad)
    assert all(failure["reason"] and str(datasets.folder) not in failure["reason"] for failure in told)
    again = datasets.built()
    assert counts(again) == {"total": 11, "skipped": 6, "failed": 5}


def test_mended_image_is_taken_in(datasets: Datasets) -> None:
    datasets.picture("good.jpg", 1)
    datasets.write("mill/bad.jpg", b"not yet")
    assert counts(datasets.built()) == {"total": 2, "embedded": 1, "failed": 1}
    datasets.picture("bad.jpg", 2)

    assert counts(datasets.built()) == {"total": 2, "embedded": 1, "skipped": 1}


def fails_to_read(monkeypatch: pytest.MonkeyPatch, name: str, *, times: int) -> list[str]:
    """Let the file of that name be unreadable for a while; the list grows with each try."""
    tried: list[str] = []
    opened = files._opened

    def stumbling(real: str, shown: str) -> int:
        if shown == name:
            tried.append(real)
            if len(tried) <= times:
                raise Unavailable("path_not_readable", name=shown)
        return opened(real, shown)

    monkeypatch.setattr(files, "_opened", stumbling)
    return tried


def test_image_that_cannot_be_read_for_now_is_tried_again_and_nothing_else_is(
    datasets: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        datasets.picture(name, ord(name[0]))
    tried = fails_to_read(monkeypatch, "b.jpg", times=2)

    detail = datasets.built()

    assert counts(detail) == {"total": 3, "embedded": 3}
    assert len(tried) == 3
    versions = [one.version for one in datasets.app.index.indexed(datasets.app.index.collection("mill"))]
    assert versions == [1, 1, 1]


def test_image_that_cannot_be_read_three_times_more_is_given_up(
    datasets: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg"):
        datasets.picture(name, ord(name[0]))
    tried = fails_to_read(monkeypatch, "b.jpg", times=100)

    detail = datasets.built()

    assert counts(detail) == {"total": 2, "embedded": 1, "failed": 1}
    assert len(tried) == 4
    (item,) = datasets.app.tasks.items(detail["task_id"])
    assert (item["name"], item["error"]["code"]) == ("b.jpg", "path_not_readable")
    monkeypatch.undo()
    assert counts(datasets.built()) == {"total": 2, "embedded": 1, "skipped": 1}


def test_folder_that_became_empty_keeps_its_index(datasets: Datasets) -> None:
    path = datasets.picture("a.jpg", 1)
    datasets.built()
    path.unlink()

    (detail,) = (datasets.build().result or {})["datasets"]

    assert (detail["status"], detail["error"]["code"]) == ("failed", "prune_of_all")
    assert datasets.names() == {"a.jpg"}


def test_dataset_without_images_is_an_empty_collection(datasets: Datasets) -> None:
    (datasets.folder / "mill").mkdir()
    datasets.write("mill/notes.txt", "no image")

    assert counts(datasets.built()) == {}
    assert datasets.app.index.collection("mill").document_count == 0


def test_dataset_may_not_have_the_name_of_a_collection_of_texts(datasets: Datasets) -> None:
    datasets.picture("a.jpg", 1)
    datasets.app.documents.collection("mill")

    (detail,) = (datasets.build().result or {})["datasets"]

    assert (detail["status"], detail["error"]["code"]) == ("failed", "collection_not_of_images")


def test_datasets_of_one_build_stand_for_themselves(datasets: Datasets) -> None:
    datasets.picture("a.jpg", 1)
    (datasets.folder / "letters").mkdir()
    datasets.write("letters/a.jpg", encoded(tile(3), "JPEG"))
    datasets.app.documents.collection("letters")

    task = datasets.build("mill", "letters")

    result = task.result or {}
    assert (task.state, result["success"], result["failed"]) == (TaskState.COMPLETED, 1, 1)
    assert [detail["status"] for detail in result["datasets"]] == ["completed", "failed"]


@pytest.mark.parametrize("name", ["", ".", "..", "../mill", "mill/loft", ".hidden", "mi\0ll", "m" * 101, "mill\\loft"])
def test_name_that_is_no_folder_name_is_refused(datasets: Datasets, name: str) -> None:
    datasets.picture("a.jpg", 1)

    with pytest.raises(InvalidInput) as caught:
        datasets.app.datasets.build([name])
    assert caught.value.code == "dataset_name_invalid"


def test_dataset_that_is_not_there_is_refused_with_those_that_are(datasets: Datasets) -> None:
    datasets.picture("a.jpg", 1)

    with pytest.raises(NotFound) as caught:
        datasets.app.datasets.build(["mill", "loft"])
    assert (caught.value.code, caught.value.facts["known"]) == ("dataset_not_found", "mill")
    assert datasets.app.tasks.find(TaskFilter()) == []


def test_link_that_leads_out_of_the_root_is_refused(datasets: Datasets, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(encoded(tile(1), "JPEG"))
    (datasets.folder / "mill").symlink_to(outside)

    with pytest.raises(Exception, match="outside") as caught:
        datasets.app.datasets.build(["mill"])
    assert getattr(caught.value, "code", "") == "path_outside_roots"


def test_links_inside_a_dataset_do_not_lead_out_either(datasets: Datasets, tmp_path: Path) -> None:
    datasets.picture("a.jpg", 1)
    (tmp_path / "secret.jpg").write_bytes(encoded(tile(2), "JPEG"))
    (datasets.folder / "mill" / "b.jpg").symlink_to(tmp_path / "secret.jpg")

    detail = datasets.built()

    assert counts(detail) == {"total": 2, "embedded": 1, "failed": 1}
    (item,) = datasets.app.tasks.items(detail["task_id"])
    assert (item["name"], item["error"]["code"]) == ("b.jpg", "path_outside_roots")


def test_progress_file_is_whole_at_every_moment_and_only_goes_forward(datasets: Datasets) -> None:
    for number in range(24):
        datasets.picture(f"{number}.jpg", number)
    task = datasets.app.datasets.build(["mill"])
    seen: list[dict[str, Any]] = []
    for _ in range(100):
        if datasets.app.store.get(task.id).state.is_final:
            break
        datasets.attempt()
        place = datasets.app.paths.progress / "mill.json"
        if place.exists():
            seen.append(json.loads(place.read_text("utf-8")))
            # Written at most four times a second; here every time.
            os.utime(place, (0, 0))

    done = [told["done"] for told in seen]
    assert done == sorted(done)
    assert len(set(done)) > 3
    assert seen[0]["status"] == "processing"
    last = seen[-1]
    assert (last["status"], last["done"], last["total"], last["progress"]) == ("completed", 24, 24, 100)
    assert last["computed_by"] == {"local": 24}
    assert last["finished_at"] is not None
    left = [place.name for place in datasets.app.paths.progress.iterdir()]
    assert sorted(left) == [".lock", "mill.json"]


def test_progress_file_of_a_cancelled_build_is_corrected_by_the_sweeper(datasets: Datasets) -> None:
    for number in range(8):
        datasets.picture(f"{number}.jpg", number)
    task = datasets.app.datasets.build(["mill"])
    for _ in range(3):
        datasets.attempt()
    assert datasets.progress_file()["status"] == "processing"

    datasets.app.tasks.cancel_one(task.id)
    assert datasets.app.datasets.tend() == 1

    told = datasets.progress_file()
    assert told["status"] == "cancelled"
    assert told["finished_at"] is not None


def test_progress_that_cannot_be_written_costs_the_build_nothing(tmp_path: Path) -> None:
    place = tmp_path / "a file"
    place.write_text("in the way", "utf-8")
    works = Datasets(tmp_path, images={"progress": place / "progress"})
    try:
        works.picture("a.jpg", 1)

        assert counts(works.built()) == {"total": 1, "embedded": 1}
        assert works.app.datasets.tend() == 0
    finally:
        works.app.close()


def test_progress_file_of_an_earlier_build_does_not_come_back(datasets: Datasets) -> None:
    datasets.picture("a.jpg", 1)
    early = datasets.build()
    late = datasets.build()

    for child in datasets.app.tasks.find(TaskFilter(parent_id=early.id)):
        datasets.app.datasets.report(child.id)

    assert datasets.progress_file()["build_task_id"] == late.id


def test_build_that_is_followed_tells_of_its_datasets(datasets: Datasets) -> None:
    for number in range(6):
        datasets.picture(f"{number}.jpg", number)
    datasets.write("mill/bad.jpg", b"bad")
    task = datasets.build()

    build = datasets.app.datasets.get(task.id)

    (part,) = build.datasets
    assert (build.progress.done, build.progress.failed, build.progress.total) == (6, 1, 7)
    assert dict(part.computed_by) == {"local": 6}
    assert [document.name for document in part.failures] == ["bad.jpg"]
    assert datasets.app.datasets.get(part.task.id).datasets[0].dataset == "mill"
    with pytest.raises(NotFound):
        datasets.app.datasets.get(datasets.app.tasks.find(TaskFilter(kinds=["generate_embeddings"]))[0].id)


def test_thumbnails_are_made_once_and_go_with_the_last_version_that_needs_them(datasets: Datasets) -> None:
    path = datasets.picture("a.jpg", 1)
    datasets.picture("b.jpg", 2)
    datasets.built()
    (first, _) = datasets.app.index.documents(DocumentFilter(collection="mill"), limit=2)
    data, content = datasets.app.images.thumbnail(first.id)
    path.unlink()
    datasets.built()
    later = (time.time_ns() // 1000) + 10**6

    removed = datasets.app.thumbnails.purge(in_use=datasets.app.index.known_contents, stored_before=later)

    assert data.startswith(b"\xff\xd8")
    assert removed == 1
    with pytest.raises(NotFound):
        datasets.app.thumbnails.read(content)
    with pytest.raises(NotFound):
        datasets.app.images.thumbnail(first.id)


def test_uploaded_image_joins_a_collection_of_images(datasets: Datasets) -> None:
    datasets.picture("a.jpg", 1)
    datasets.built()
    path = datasets.write("upload.png", encoded(tile(5), "PNG"))
    with path.open("rb") as file:
        document = datasets.app.documents.register_upload(file, filename="upload.png", collection="mill")

    task = datasets.index(document)

    assert (task.result or {})["success"] == 1
    page = datasets.app.images.like_document(document.id)
    assert [hit.image.name for hit in page.hits] == ["a.jpg"]
    datasets.built()
    assert "upload.png" in datasets.names()


def test_uploaded_image_that_is_none_says_so(datasets: Datasets) -> None:
    datasets.picture("a.jpg", 1)
    datasets.built()
    path = datasets.write("upload.png", b"words")
    with path.open("rb") as file:
        document = datasets.app.documents.register_upload(file, filename="upload.png", collection="mill")

    (detail,) = datasets.details(datasets.index(document))

    assert (detail["status"], detail["error"]["code"]) == ("failed", "image_unreadable")


def test_image_that_comes_as_base64_gets_its_vector_as_the_result(datasets: Datasets) -> None:
    datasets.picture("a.jpg", 1)
    datasets.built()
    data = (datasets.folder / "mill" / "a.jpg").read_bytes()
    (document,) = datasets.app.index.documents(DocumentFilter(collection="mill"), limit=1)

    for encoded_image in (base64.b64encode(data).decode(), f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"):
        task = datasets.finish(datasets.app.tasks.submit("generate_embeddings", {"images": encoded_image}))

        result = task.result or {}
        known = datasets.app.index.vectors(datasets.app.index.collection("mill"), [document.id])[document.id]
        assert (result["status"], result["dimension"], len(result["embedding"])) == ("success", 1280, 1280)
        assert float(np.dot(result["embedding"], known)) > 0.999


@pytest.mark.parametrize(("image", "code"), [("%%%", "image_base64_invalid"), ("d29yZHM=", "image_unreadable")])
def test_base64_that_is_no_image_is_refused(datasets: Datasets, image: str, code: str) -> None:
    task = datasets.finish(datasets.app.tasks.submit("generate_embeddings", {"images": image}))

    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.code == code


def test_collection_of_images_is_not_embedded_anew_from_words(datasets: Datasets) -> None:
    datasets.picture("a.jpg", 1)
    datasets.built()

    with pytest.raises(Conflict) as caught:
        datasets.app.documents.reembed("mill", "multilingual")
    assert caught.value.code == "collection_of_images"


def test_collection_of_another_model_is_left_alone(datasets: Datasets, tmp_path: Path) -> None:
    datasets.picture("a.jpg", 1)
    collection = datasets.app.datasets.collection("mill")
    space = datasets.app.index.begin_space(
        "mill", embedder=collection.space.embedder, model_id="some other", dimension=1280
    )
    with datasets.app.database.write() as transaction:
        assert datasets.app.index.activate_space(transaction, space.id)

    (detail,) = (datasets.build().result or {})["datasets"]

    assert (detail["status"], detail["error"]["code"]) == ("failed", "image_model_differs")


def written(text: str) -> Image.Image:
    image = Image.new("RGB", (900, 300), "white")
    ImageDraw.Draw(image).text((40, 100), text, fill="black", font=ImageFont.load_default(64))
    return image


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_text_in_images_is_found_as_soon_as_the_second_pass_has_read_it(tmp_path: Path, database: str) -> None:
    sections = {"database": {"url": fresh_database()}} if database == "postgres" else {}
    works = Datasets(tmp_path, images={"ocr": "auto"}, **sections)
    try:
        works.picture("sign.jpg", written("Thornley Mill 1841"))
        works.picture("plain.jpg", Image.new("RGB", (300, 200), "grey"))
        works.built()
        before = works.app.searcher.search("Thornley", collection="mill").hits
        (reading,) = works.app.tasks.find(TaskFilter(kinds=["read_text"]))

        task = works.finish(reading)

        (hit,) = works.app.searcher.search("Thornley", collection="mill").hits
        assert before == ()
        assert task.result == {"with_text": 1, "without": 1, "failed": 0}
        assert (hit.name, "Thornley" in hit.text) == ("sign.jpg", True)
        (sign, plain) = works.app.index.documents(DocumentFilter(collection="mill", name="*.jpg"), limit=2)
        page = works.app.images.like_document(plain.id if plain.name == "plain.jpg" else sign.id)
        assert [one.image.name for one in page.hits] == ["sign.jpg"]
        assert counts(works.built()) == {"total": 2, "skipped": 2}
    finally:
        works.app.close()


def test_payload_has_room_for_both_forms() -> None:
    assert GenerateEmbeddings(images=[1, 2]).images == [1, 2]
