"""One interface to a service over HTTP and to a folder without one: every test runs on both."""

import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import gristmill
from gristmill import errors
from gristmill.api.app import create_app
from gristmill.app import open_gristmill
from gristmill.canvas import chain, chord, group, kind, previous
from gristmill.client import values
from gristmill.settings import load_settings
from tests.material.images import encoded, photograph
from tests.support.postgres import fresh_database
from tests.support.service import serving, working
from tests.support.waiting import eventually

ping = kind("ping")

VIEWS = {
    values.Build: "BuildView",
    values.Collection: "CollectionView",
    values.DatasetBuild: "DatasetBuildView",
    values.Document: "DocumentView",
    values.DuplicateGroup: "DuplicateGroupView",
    values.Event: "EventView",
    values.Failure: "FailedItem",
    values.Hit: "HitView",
    values.HitChunk: "HitChunk",
    values.HitDocument: "HitDocument",
    values.HitHighlight: "HitHighlight",
    values.HitLocation: "HitLocation",
    values.ImageFailure: "FailureView",
    values.ImageHit: "ImageHitView",
    values.ImageRecord: "ImageView",
    values.Message: "ErrorView",
    values.Progress: "ProgressView",
    values.Registered: "Registered",
    values.Restoration: "RestorationView",
    values.Difference: "DiffView",
    values.Snapshot: "SnapshotView",
    values.Task: "TaskView",
    values.Version: "KeptVersionView",
    values.VersionSummary: "VersionView",
    values.Workflow: "WorkflowView",
    values.WorkflowPart: "PartView",
}
"""Each value with the schema it is read from."""


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of image datasets, one of them with two copies and a bad file."""
    root = tmp_path_factory.mktemp("gallery")
    (root / "mill" / "yard").mkdir(parents=True)
    for name, image in (
        ("hat.jpg", photograph().crop((150, 0, 400, 180))),
        ("coat.jpg", photograph().crop((100, 400, 400, 600))),
    ):
        (root / "mill" / "yard" / name).write_bytes(encoded(image, "JPEG"))
    (root / "mill" / "hat again.jpg").write_bytes((root / "mill" / "yard" / "hat.jpg").read_bytes())
    (root / "mill" / "bad.jpg").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module", params=["http", "embedded", "http on postgres"])
def mill(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, gallery: Path
) -> Iterator[gristmill.Client]:
    data = tmp_path_factory.mktemp("data")
    variables = {"GRISTMILL_IMAGES__ROOT": str(gallery), "GRISTMILL_IMAGES__OCR": "off"}
    if request.param == "embedded":
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            with gristmill.open(data, workers=1) as client:
                yield client
        return
    url = fresh_database() if "postgres" in request.param else None
    overrides: dict[str, dict[str, Any]] = {"images": {"root": gallery}}
    if url is not None:
        overrides["database"] = {"url": url}
    with (
        serving(data, overrides) as service,
        working(data, database=url, variables=variables),
        gristmill.Client(service.url) as client,
    ):
        yield client


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with an English and a Chinese document, and something that is neither."""
    folder = tmp_path / "library"
    (folder / "deep").mkdir(parents=True)
    (folder / "mill.md").write_text("# Mill\n\nThe wheel turns the stones.", "utf-8")
    (folder / "deep" / "水.txt").write_text("水车转动磨盘", "utf-8")
    (folder / "notes.unknown").write_text("passed over", "utf-8")
    return folder


def names(found: list[values.Hit]) -> list[str]:
    return [hit.document.name for hit in found]


def test_folder_is_indexed_and_found_in_both_languages(mill: gristmill.Client, library: Path) -> None:
    seen: list[int] = []

    indexed = mill.index(library, collection="both", on_progress=lambda task: seen.append(task.progress))

    assert indexed.task is not None
    assert indexed.task.state == "completed"
    assert sorted(document.name for document in indexed.documents) == ["mill.md", "水.txt"]
    assert {document.state for document in indexed.documents} == {"indexed"}
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert names(mill.search("wheel", collection="both", mode="keyword")) == ["mill.md"]
    assert names(mill.search("水车", collection="both", mode="keyword")) == ["水.txt"]


def test_bytes_and_urls_are_handed_in_as_well(mill: gristmill.Client) -> None:
    indexed = mill.index(("note.txt", b"The weir holds."), ("bad.pdf", b"no pdf"), collection="bytes")

    states = {document.name: document.state for document in indexed.documents}
    assert states == {"note.txt": "indexed", "bad.pdf": "failed"}
    assert next(document.error for document in indexed.documents if document.name == "bad.pdf") is not None
    with pytest.raises(errors.InvalidInput) as refused:
        mill.register("ftp://example.org/a", collection="bytes")
    assert refused.value.code == "url_scheme_unsupported"


def test_versions_roll_back_and_snapshots_restore(mill: gristmill.Client, library: Path) -> None:
    (first,) = mill.index(library / "mill.md", collection="story").documents
    snapshot = mill.take_snapshot("story", "before")
    (library / "mill.md").write_text("# Mill\n\nThe wheel stands.", "utf-8")
    mill.index(library / "mill.md", collection="story")

    assert [(version.number, version.is_current) for version in mill.versions(first.id)] == [(2, True), (1, False)]
    assert (mill.diff(first.id, 1, 2).changed, mill.diff(first.id, 1, 1).changes) == (1, [])
    rolled = mill.roll_back(first.id, 1)
    assert rolled.version is not None
    assert rolled.version.number == 1
    mill.delete_document(first.id)
    assert [document.id for document in mill.documents(collection="story")] == []
    assert mill.restore("story", snapshot.id).returned == 1
    assert [document.id for document in mill.documents(collection="story")] == [first.id]
    mill.forget_snapshot("story", snapshot.id)
    assert [one.is_automatic for one in mill.snapshots("story")] == [True]
    mill.delete_collection("story")
    assert "story" not in [collection.name for collection in mill.collections()]


def test_workflow_reads_like_a_canvas(mill: gristmill.Client) -> None:
    work = chain(ping.s("a"), group(ping.s(note=previous("note")), ping.s("c")), ping.s(note=previous("0.note")))

    task = mill.wait(mill.submit_workflow(work).id, timeout_seconds=60)

    assert task.state == "completed"
    state = mill.workflow(task.id)
    assert (state.steps, state.progress, state.counts) == (4, 100, {"completed": 4})
    last = state.root.parts[-1].task_id
    assert last is not None
    assert mill.task(last).result == {"note": "a"}
    again = mill.wait(mill.rerun(task.id, from_step=3).id, timeout_seconds=60)
    assert again.state == "completed"
    both = mill.wait(mill.submit_workflow(chord([ping.s(), ping.s()], ping.s("end"))).id, timeout_seconds=60)
    assert mill.workflow(both.id).progress == 100


def test_task_is_followed_to_its_end_without_missing_an_event(mill: gristmill.Client) -> None:
    task = mill.submit("ping", {"note": "x", "seconds": 0.3})

    told = [event for update in mill.watch(task.id) for event in update.events]

    assert told == mill.events(task.id)
    assert [event.name for event in told] == ["submitted", "claimed", "completed"]
    assert list(mill.watch(task.id, after=told[-1].seq)) == []


def test_waiting_has_an_end_and_the_task_goes_on(mill: gristmill.Client) -> None:
    task = mill.submit("ping", {"seconds": 30})
    with pytest.raises(errors.Unavailable) as refused:
        mill.wait(task.id, timeout_seconds=0.2)
    assert refused.value.code == "task_not_ended_yet"

    mill.cancel(task.id)

    assert mill.wait(task.id, timeout_seconds=30).state == "cancelled"
    assert mill.retry(task.id).state == "pending"
    mill.cancel(task.id)
    mill.wait(task.id, timeout_seconds=30)


def test_lists_come_whole_however_many_pages_they_have(mill: gristmill.Client) -> None:
    indexed = mill.index(*((f"{number}.txt", b"word %d" % number) for number in range(7)), collection="pages")
    assert indexed.task is not None

    assert len(list(mill.documents(collection="pages", limit=3))) == 7
    assert len(list(mill.tasks(parent_id=indexed.task.id, limit=2))) == 7
    assert [item["status"] for item in mill.items(indexed.task.id)] == ["completed"] * 7


@pytest.mark.parametrize(
    ("use", "error", "code"),
    [
        (lambda mill: mill.task("nobody"), errors.NotFound, "task_not_found"),
        (lambda mill: mill.document(99_999), errors.NotFound, "document_not_found"),
        (lambda mill: mill.submit("nothing", {}), errors.InvalidInput, "kind_unknown"),
        (lambda mill: mill.search("x", collection="nowhere"), errors.NotFound, "collection_not_found"),
        (lambda mill: mill.search("x", limit=0), errors.InvalidInput, "field_out_of_range"),
        (lambda mill: mill.index("/no/such/file"), errors.NotFound, "path_not_found"),
        (lambda mill: mill.submit_workflow({"chain": []}), errors.InvalidInput, "workflow_empty"),
    ],
)
def test_refusal_comes_back_as_the_error_that_was_raised(
    mill: gristmill.Client, use: Callable[[gristmill.Client], object], error: type[Exception], code: str
) -> None:
    with pytest.raises(error) as refused:
        use(mill)
    assert getattr(refused.value, "code", "") == code


def test_values_have_the_fields_of_the_api(tmp_path: Path) -> None:
    app = open_gristmill(load_settings(data=tmp_path / "data", environ={}))
    schemas: dict[str, Any] = create_app(app).openapi()["components"]["schemas"]
    app.close()

    fields = {value: {field.name for field in dataclasses.fields(value)} for value in VIEWS}

    assert fields == {value: set(schemas[name]["properties"]) for value, name in VIEWS.items()}


def test_service_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        port = service.app.settings.api.port or int(service.url.rpartition(":")[2])
    client = gristmill.Client(f"http://127.0.0.1:{port}", retries=50)
    answers: list[str] = []

    def ask() -> None:
        # Handed in while nobody is there, and once only however often it is asked.
        answers.append(client.submit("ping", {}).id)

    asking = threading.Thread(target=ask)
    asking.start()
    with serving(tmp_path / "data", {"api": {"port": port}}) as service:
        eventually(lambda: answers, 30)
        asking.join()
        assert [task.id for task in client.tasks()] == answers
        assert service.app.tasks.get(answers[0]).kind == "ping"
    client.close()


def test_nobody_there_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with gristmill.Client(url, retries=1) as client, pytest.raises(errors.Unavailable) as refused:
            client.task("x")
    assert refused.value.code == "service_unreachable"
    assert url in str(refused.value)


def test_key_and_language_go_with_every_question(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        _, secret = service.app.keys.create("reader", "read")
        with gristmill.Client(service.url) as stranger, pytest.raises(errors.Unauthorized):
            stranger.collections()
        with gristmill.Client(service.url, key=secret, language="zh") as reader:
            assert reader.collections() == []
            with pytest.raises(errors.Forbidden) as refused:
                reader.submit("ping", {})
    assert refused.value.code == "scope_missing"


def test_folder_that_was_closed_can_be_opened_again_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = {thread.name for thread in threading.enumerate()}
    for number in range(2):
        with gristmill.open(tmp_path / "data", workers=0) as mill:
            mill.submit("ping", {"note": str(number)})
            assert len(list(mill.tasks())) == number + 1
    eventually(lambda: "gristmill" not in {thread.name for thread in threading.enumerate()} - before)


def test_images_are_built_and_found_by_a_file_by_bytes_and_by_each_other(mill: gristmill.Client, gallery: Path) -> None:
    told: list[values.Build] = []

    build = mill.images.build("mill", on_progress=told.append)

    (dataset,) = build.datasets
    assert (build.status, dataset.done, dataset.failed, dataset.total) == ("completed", 3, 1, 4)
    assert [(failure.name, failure.code) for failure in dataset.failures] == [("bad.jpg", "image_unreadable")]
    assert told[-1].status == "completed"
    file = gallery / "mill" / "yard" / "coat.jpg"
    by_file = mill.images.search(file, limit=1)
    by_bytes = mill.images.search(file.read_bytes(), collections=["mill"], name="coat*")
    by_part = mill.images.search(file, region=(0, 0, 200, 200), limit=1)
    assert [hit.image.name for hit in (*by_file, *by_bytes, *by_part)] == ["coat.jpg"] * 3
    assert by_file[0].folders == ["yard"]
    (group,) = mill.images.duplicates("mill")
    assert group.exact
    assert mill.images.search(image_id=group.keep.id, limit=1)[0].image.id == group.others[0].id
    assert mill.images.thumbnail(group.keep.id).startswith(b"\xff\xd8")
    with pytest.raises(errors.NotFound, match="nowhere"):
        mill.images.build("nowhere")
