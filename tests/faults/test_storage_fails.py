"""The disk is full, the database is locked: refused with a reason, nothing broken, everything goes on afterwards."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from gristmill.db.database import Database
from gristmill.tasks.model import TaskFilter, TaskState
from tests.integration.worker.conftest import Mill
from tests.support.history import effects_in, prepare_effects, what_broke
from tests.support.service import serving
from tests.support.waiting import eventually

SMALL_MB = 24
CAP_SYS_ADMIN = 21
"""Number of the capability, as in linux/capability.h."""
LOCKED_SECONDS = 40.0

# What a server makes of its disk and its locks is tried beside the other things that it may do.
on_a_file = pytest.mark.parametrize("make_of_database", ["sqlite"], indirect=True)


def _may_mount() -> bool:
    """Whether the kernel would let this process mount: root in a container often may not."""
    status = Path("/proc/self/status")
    held = [line.split()[1] for line in status.read_text("ascii").splitlines() if line.startswith("CapEff:")]
    return bool(int(held[0], 16) >> CAP_SYS_ADMIN & 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes; needs the right to mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_MB}m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        reason = mounted.stderr.decode(errors="replace").strip()
        if os.environ.get("CI") and _may_mount():
            pytest.fail(f"this user may mount a file system, and could not: {reason}")
        pytest.skip(f"this user may not mount a file system: {reason}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no room at all."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    out.write(b"\0" * size)
            except OSError:
                continue
    return filler


def is_sound(database: Database) -> bool:
    with database.read() as transaction:
        return bool(transaction.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok")


def submit(url: str, note: str) -> requests.Response:
    return requests.post(f"{url}/api/tasks", json={"kind": "ping", "payload": {"note": note}}, timeout=30)


def refusal(url: str) -> requests.Response:
    """The first answer that is no acceptance."""
    answers: list[requests.Response] = []

    def refused() -> bool:
        answers.append(submit(url, "x" * 60_000))
        return not answers[-1].ok

    eventually(refused)
    return answers[-1]


def test_service_says_that_the_disk_is_full_and_resumes_when_there_is_room(small_disk: Path) -> None:
    with serving(small_disk / "data") as service:
        accepted = [submit(service.url, str(number)).json()["data"]["id"] for number in range(5)]
        filler = fill(small_disk)
        refused = refusal(service.url)
        upload = service.post("/api/documents", files={"file": ("a.txt", b"rye" * 100_000)})
        alive = service.get("/health/live")
        known = sum(service.app.store.counts(TaskFilter()).values())
        filler.unlink()
        after = submit(service.url, "again")

        assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
        assert (upload.status_code, upload.json()["code"]) == (507, "disk_full")
        assert alive.ok
        assert after.status_code == 202
        assert sum(service.app.store.counts(TaskFilter()).values()) == known + 1
        assert len(service.app.store.get_many(accepted)) == len(accepted)
        assert is_sound(service.app.database)


@on_a_file
def test_task_that_is_done_waits_for_room_on_the_disk_to_say_so(
    make_mill: Callable[..., Mill], small_disk: Path
) -> None:
    mill = make_mill(data=small_disk / "data")
    prepare_effects(mill.app.database)
    worker = mill.start()
    held, *others = [mill.submit("patient"), *(mill.submit("counted") for _ in range(5))]
    mill.started(held)
    filler = fill(small_disk)
    mill.let_go(held)
    states = {mill.app.store.get(task.id).state for task in (held, *others)}
    filler.unlink()

    eventually(lambda: mill.app.store.counts(TaskFilter()) == {TaskState.COMPLETED: 6}, 20)

    assert states <= {TaskState.PROCESSING, TaskState.PENDING, TaskState.COMPLETED}
    assert worker.poll() is None
    assert mill.app.store.get(held.id).attempt == 1
    counts = effects_in(mill.app.database)
    assert what_broke(mill.app.store, [task.id for task in others], effects=counts) == []
    assert is_sound(mill.app.database)


def test_database_that_may_not_grow_refuses_and_resumes(tmp_path: Path) -> None:
    # What anyone may do without mounting anything: the same error of the same library.
    with serving(tmp_path / "data") as service:
        accepted = submit(service.url, "first").json()["data"]["id"]
        with service.app.database.write() as transaction:
            connection = transaction.connection.dbapi_connection
            assert connection is not None
            pages = transaction.exec_driver_sql("PRAGMA page_count").scalar()
            transaction.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        refused = refusal(service.url)
        with service.app.database.write() as transaction:
            transaction.exec_driver_sql("PRAGMA max_page_count = 1073741823")
        after = submit(service.url, "x" * 60_000)

        assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
        assert after.status_code == 202
        assert service.app.store.get(accepted).id == accepted
        assert is_sound(service.app.database)


def test_service_says_that_the_database_is_busy_and_resumes(tmp_path: Path) -> None:
    with serving(tmp_path / "data", {"database": {"busy_timeout_seconds": 0.3}}) as service:
        submit(service.url, "before")
        with Database(f"sqlite:///{service.app.database.path}").write():
            refused = submit(service.url, "during")
            # Who only reads is not held up.
            listed = service.get("/api/tasks")
        after = submit(service.url, "after")

        assert (refused.status_code, refused.json()["code"]) == (503, "database_busy")
        assert refused.headers["Retry-After"] == "5"
        assert listed.ok
        assert after.status_code == 202
        assert sum(service.app.store.counts(TaskFilter()).values()) == 2


@on_a_file
@pytest.mark.slow
@pytest.mark.timeout(150)
def test_database_that_is_locked_for_long_costs_time_and_nothing_else(mill: Mill) -> None:
    data = mill.app.settings.data
    prepare_effects(mill.app.database)
    worker = mill.start()
    running = mill.submit("patient")
    mill.started(running)
    counted = [mill.submit("counted") for _ in range(20)]
    with serving(data, {"database": {"busy_timeout_seconds": 0.5}}) as service:
        accepted = [submit(service.url, "before").json()["data"]["id"]]
        refused: list[requests.Response] = []
        lists: list[int] = []
        with Database(f"sqlite:///{mill.app.database.path}").write():
            until = time.monotonic() + LOCKED_SECONDS
            mill.let_go(running)
            while time.monotonic() < until:
                refused.append(submit(service.url, f"during {len(refused)}"))
                lists.append(service.get("/api/tasks").status_code)
        accepted.append(submit(service.url, "after").json()["data"]["id"])

        eventually(lambda: set(mill.app.store.counts(TaskFilter())) == {TaskState.COMPLETED}, 30)

        assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "database_busy")}
        assert set(lists) == {200}
        ids = [task.id for task in counted]
        assert what_broke(mill.app.store, ids, effects=effects_in(mill.app.database)) == []
        assert what_broke(mill.app.store, [running.id, *accepted]) == []
        # Refused means refused: nothing of it is there.
        assert sum(mill.app.store.counts(TaskFilter()).values()) == len([running, *counted, *accepted])
        assert is_sound(mill.app.database)
    # It stood still for many leases, and nobody took that for its death.
    assert worker.poll() is None
    assert mill.app.store.get(running.id).attempt == 1
