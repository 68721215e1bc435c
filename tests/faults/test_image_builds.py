"""Image datasets are built while brokers vanish, workers die and images kill or hang those who read them."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gristmill.index.model import DocumentFilter
from gristmill.tasks.model import Task, TaskFilter, TaskState
from tests.integration.worker.conftest import Mill
from tests.integration.worker.test_image_datasets import tile
from tests.material.images import encoded
from tests.support.history import what_broke
from tests.support.pairs import every_pair
from tests.support.valkey import Server, own_server
from tests.support.waiting import eventually

IMAGES = 240
BATCH = 4
with_a_broker = pytest.mark.parametrize(
    ("engine", "make_of_database"),
    [("celery", "sqlite"), ("celery", "postgres"), ("rq", "postgres")],
    indirect=["make_of_database"],
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of so many images, none like another."""
    root = tmp_path_factory.mktemp("datasets")
    (root / "mill").mkdir()
    for number in range(IMAGES):
        (root / "mill" / f"{number}.jpg").write_bytes(encoded(tile(number), "JPEG"))
    return root


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closed when nothing needs it any more."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def broker(stack: ExitStack, engine: str, tmp_path: Path) -> Server | None:
    """What the engine needs."""
    return None if engine == "local" else stack.enter_context(own_server(tmp_path / "valkey"))


@pytest.fixture
def builder(make_mill: Callable[..., Mill], root: Path, engine: str, broker: Server | None) -> Mill:
    """A Gristmill that builds these datasets, and no worker yet."""
    return open_builder(make_mill, root, engine, broker)


def open_builder(
    make_mill: Callable[..., Mill], root: Path, engine: str, broker: Server | None, **sections: Any
) -> Mill:
    return make_mill(
        images={"root": root, "batch_size": BATCH, "ocr": "off"},
        redis={} if broker is None else {"url": broker.url()},
        engine={"name": engine},
        workers={"memory_limit_mb": 1024},
        **sections,
    )


def batches(mill: Mill) -> list[Task]:
    return mill.app.store.find(TaskFilter(kinds=["generate_embeddings"]), limit=10_000)


def embedded(mill: Mill) -> int:
    """Images that finished batches have embedded."""
    return sum((task.result or {}).get("embedded", 0) for task in batches(mill))


def has_embedded(mill: Mill, count: int) -> bool:
    return embedded(mill) >= count


def detail(task: Task) -> dict[str, Any]:
    """What came of the one dataset of a build."""
    assert task.state is TaskState.COMPLETED, task.error
    (only,) = (task.result or {})["datasets"]
    assert only["status"] == "completed", only
    return dict(only)


def check_each_once(mill: Mill, task: Task, *, total: int = IMAGES) -> None:
    """Every image is in the index, in its first version; none was published twice and no promise was broken."""
    collection = mill.app.index.collection("mill")
    shown = mill.app.index.indexed(collection)
    assert [one.version for one in shown] == [1] * total
    family = mill.app.store.find(TaskFilter(ancestor_id=task.id), limit=10_000)
    assert what_broke(mill.app.store, [task.id, *(child.id for child in family)]) == []


def progress_file(mill: Mill) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((mill.app.paths.progress / "mill.json").read_text("utf-8"))
    return told


@with_a_broker
def test_build_begins_and_ends_without_its_broker_and_says_so(
    builder: Mill, engine: str, broker: Server, make_of_database: str
) -> None:
    builder.start(concurrency=2, engine=engine)
    broker.kill()

    task = builder.app.datasets.build(["mill"])
    mode = builder.app.datasets.mode(distributed=True, fresh=True)

    ended = builder.ended(task, 90)
    only = detail(ended)
    assert (mode.name, mode.reason("en") is not None) == ("local", True)
    assert (only["embedded"], only["failed"]) == (IMAGES, 0)
    assert only["fell_back"] > 0
    assert only["fault"] == "broker_unreachable"
    assert {child.attempt for child in batches(builder)} == {1}
    check_each_once(builder, ended)
    told = progress_file(builder)
    assert (told["status"], told["mode"]) == ("completed", "local")
    assert "broker was away" in told["message"]


@with_a_broker
def test_build_goes_on_when_its_broker_vanishes_and_embeds_no_image_twice(
    builder: Mill, engine: str, broker: Server, make_of_database: str
) -> None:
    builder.start(concurrency=2, engine=engine)
    task = builder.app.datasets.build(["mill"])
    eventually(lambda: embedded(builder) >= IMAGES // 6, 60)
    broker.kill()
    at = embedded(builder)

    ended = builder.ended(task, 90)

    only = detail(ended)
    assert at < IMAGES
    assert (only["embedded"], only["failed"]) == (IMAGES, 0)
    assert {child.attempt for child in batches(builder)} == {1}
    check_each_once(builder, ended)


@every_pair
def test_build_survives_the_deaths_of_its_workers(builder: Mill, engine: str, make_of_database: str) -> None:
    builder.start(concurrency=2, engine=engine)
    task = builder.app.datasets.build(["mill"])
    for part in (1, 2):
        eventually(partial(has_embedded, builder, part * IMAGES // 4), 60)
        worker = builder.workers[-1]
        for process in builder.tree(worker):
            with_signal(process.pid, signal.SIGKILL)
        worker.wait(timeout=20)
        builder.start(concurrency=2, engine=engine)

    ended = builder.ended(task, 120)

    assert detail(ended)["failed"] == 0
    check_each_once(builder, ended)
    assert (progress_file(builder)["status"], progress_file(builder)["done"]) == ("completed", IMAGES)


def with_signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


@pytest.mark.parametrize("engine", ["local"])
def test_images_that_kill_or_hang_their_readers_sink_alone(
    make_mill: Callable[..., Mill], tmp_path: Path, engine: str
) -> None:
    folder = tmp_path / "root" / "mill"
    folder.mkdir(parents=True)
    for number in range(10):
        (folder / f"{number}.jpg").write_bytes(encoded(tile(number), "JPEG"))
    for name, number in (("killer.jpg", 20), ("sleeper.jpg", 21)):
        (folder / name).write_bytes(encoded(tile(number), "JPEG"))
    kinds = {"generate_embeddings": {"soft_limit_seconds": 2.0, "hard_limit_seconds": 2.0}}
    mill = open_builder(
        make_mill,
        tmp_path / "root",
        engine,
        None,
        tasks={"lease_seconds": 2.0, "sweep_seconds": 0.2, "kinds": kinds},
    )
    mill.start(concurrency=2)

    ended = mill.ended(mill.app.datasets.build(["mill"]), 120)

    only = detail(ended)
    assert (only["embedded"], only["failed"], only["total"]) == (10, 2, 12)
    items = {item["name"]: item["error"]["code"] for item in mill.app.tasks.items(only["task_id"])}
    assert items["killer.jpg"] == "task_parked"
    assert items["sleeper.jpg"] in {"hard_limit_exceeded", "soft_limit_exceeded"}
    # They are known by now: nobody dies of them again until they change.
    again = detail(mill.ended(mill.app.datasets.build(["mill"]), 60))
    assert (again["skipped"], again["failed"]) == (10, 2)
    failed = mill.app.index.documents(DocumentFilter(collection="mill", name="*er.jpg"), limit=10)
    assert all(document.error is not None for document in failed)


@with_a_broker
def test_build_that_is_not_distributed_stays_with_local_workers(
    builder: Mill, engine: str, broker: Server, make_of_database: str
) -> None:
    builder.start(concurrency=2, engine=engine)

    ended = builder.ended(builder.app.datasets.build(["mill"], distributed=False), 90)

    only = detail(ended)
    assert only["engines"] == {"local": IMAGES}
    assert (only["embedded"], only["distributed"]) == (IMAGES, False)
    check_each_once(builder, ended)
