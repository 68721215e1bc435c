"""`gristmill images build`: datasets named by folder, with the service up or without it."""

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.integration.cli.terminal import Finished, Terminal
from tests.material.images import corners, encoded, photograph
from tests.support.postgres import fresh_database

CUT = encoded(photograph(), "JPEG", quality=80)[:9000]


@pytest.fixture
def terminal(terminal: Terminal) -> Terminal:
    """One where text in images is not looked for, unless a test wants it to be."""
    terminal.extra["GRISTMILL_IMAGES__OCR"] = "off"
    return terminal


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, terminal: Terminal) -> Terminal:
    if request.param == "postgres":
        terminal.extra["GRISTMILL_DATABASE__URL"] = fresh_database(migrated=False)
    return terminal


@pytest.fixture
def serving(terminal: Terminal) -> Iterator[Terminal]:
    """One whose service is up, and reads text."""
    del terminal.extra["GRISTMILL_IMAGES__OCR"]
    terminal.json("up", "--port", "0")
    yield terminal
    terminal.run("down", "--now")


def dataset(terminal: Terminal, name: str, *, tints: int = 3, broken: int = 0, under: str = ".") -> Path:
    """A folder with so many different pictures, in a folder of their own, and so many that cannot be read."""
    folder = terminal.home / under / name
    (folder / "tints").mkdir(parents=True)
    for number in range(tints):
        picture = encoded(Image.new("RGB", (64, 48), (number % 256, number // 256, 90)), "PNG")
        (folder / "tints" / f"tint{number}.png").write_bytes(picture)
    for number in range(broken):
        (folder / f"broken{number:02}.jpg").write_bytes(CUT)
    return folder


def built(finished: Finished) -> dict[str, Any]:
    found: dict[str, Any] = {one["dataset"]: one for one in finished.json["datasets"]}
    return found


def test_build_brings_its_own_worker_and_one_bad_image_stops_no_other(either: Terminal) -> None:
    folder = dataset(either, "mill", broken=1)

    done = either.run("images", "build", folder, "--json")

    one = built(done)["mill"]
    assert (done.code, done.err) == (1, "")
    assert (one["state"], one["total"], one["embedded"], one["failed"]) == ("completed", 4, 3, 1)
    assert [(line["name"], line["error"]["code"]) for line in one["failures"]] == [("broken00.jpg", "image_truncated")]
    assert sum(one["computed_by"].values()) == 3
    assert either.processes() == []


def test_build_takes_only_what_changed_and_removes_what_is_gone(either: Terminal) -> None:
    folder = dataset(either, "mill")
    assert either.run("images", "build", folder).code == 0
    (folder / "tints" / "tint0.png").unlink()
    (folder / "tints" / "tint1.png").write_bytes(encoded(corners(), "PNG"))

    again = either.run("images", "build", folder)
    forced = built(either.run("images", "build", folder, "--force", "--json"))["mill"]

    assert (again.code, "1 embedded, 1 unchanged, 0 failed" in again.out) == (0, True)
    assert "1 removed, because their files are gone." in again.out
    assert (forced["skipped"], forced["embedded"] + forced["reused"]) == (0, 2)


def test_folders_side_by_side_are_one_build_and_others_are_another(terminal: Terminal) -> None:
    named = [dataset(terminal, "one"), dataset(terminal, "two", tints=1), dataset(terminal, "far", under="away")]

    done = terminal.run("images", "build", *named, named[0], "--json")

    found = built(done)
    assert (done.code, [one["total"] for one in found.values()]) == (0, [3, 1, 3])
    assert found["one"]["build_task_id"] == found["two"]["build_task_id"] != found["far"]["build_task_id"]
    assert len(terminal.json("tasks", "list", "--kind", "build_index")["tasks"]) == 2


def test_name_is_looked_for_in_the_configured_folder_unless_it_is_one_here(terminal: Terminal) -> None:
    dataset(terminal, "mill", under="root")
    terminal.extra["GRISTMILL_IMAGES__ROOT"] = str(terminal.home / "root")
    configured = built(terminal.run("images", "build", "mill", "--json"))["mill"]
    dataset(terminal, "mill", tints=1)

    here = built(terminal.run("images", "build", "mill", "--json"))["mill"]

    assert (configured["total"], here["total"]) == (3, 1)
    kept = [terminal.json("tasks", "show", one["task_id"])["payload"]["root"] for one in (configured, here)]
    assert kept == [None, str(terminal.home)]


def test_link_that_was_named_is_followed(terminal: Terminal) -> None:
    (terminal.home / "current").symlink_to(dataset(terminal, "mill", under="away"))

    assert list(built(terminal.run("images", "build", "current", "--json"))) == ["mill"]


def test_local_build_stays_on_this_machine(terminal: Terminal) -> None:
    (one,) = built(terminal.run("images", "build", dataset(terminal, "mill"), "--local", "--json")).values()

    assert one["computed_by"] == {"local": 3}
    assert terminal.json("tasks", "show", one["task_id"])["payload"]["distributed"] is False


def test_build_only_queues_when_told_not_to_wait(terminal: Terminal) -> None:
    folder = dataset(terminal, "mill")

    queued = terminal.json("images", "build", folder, "--no-wait", "--priority", "8")
    said = terminal.run("images", "build", folder, "--no-wait")

    (build,) = queued["builds"]
    assert (build["datasets"], queued["worker_running"]) == (["mill"], False)
    task = terminal.json("tasks", "show", build["task_id"])
    assert (task["state"], task["priority"]) == ("pending", 8)
    assert "gristmill tasks watch" in said.out
    assert "gristmill up" in said.err


def test_failures_are_told_up_to_twenty(terminal: Terminal) -> None:
    folder = dataset(terminal, "mill", tints=1, broken=23)

    done = terminal.run("images", "build", folder)

    assert done.code == 1
    assert "mill: 24 images, 1 embedded, 0 unchanged, 23 failed." in done.out
    assert done.out.count("is a JPEG image of which the end is missing") == 20
    assert "… and 3 more." in done.out


def test_build_speaks_chinese(terminal: Terminal) -> None:
    done = terminal.run(
        "images", "build", dataset(terminal, "mill", broken=1), environment={"GRISTMILL_LANGUAGE": "zh"}
    )

    assert "mill：共 4 张图片，已嵌入 3，未变化 0，失败 1。" in done.out
    assert "mill/broken00.jpg: “broken00.jpg”是 JPEG 图片，但文件末尾缺失" in done.out
    assert "没有正在运行的工作进程" in done.err


def test_build_cancels_its_tasks_when_interrupted_and_leaves_no_worker(terminal: Terminal) -> None:
    folder = dataset(terminal, "mill", tints=600)
    with subprocess.Popen(
        terminal.command("images", "build", folder, dataset(terminal, "far", under="away"), "--concurrency", "1"),
        cwd=terminal.home,
        env=terminal.environment({"GRISTMILL_IMAGES__BATCH_SIZE": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        assert "No worker is running" in process.stderr.readline()

        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)

    assert process.returncode == 1
    assert "Cancelling" in err
    assert "mill: cancelled after" in out
    assert {task["state"] for task in terminal.json("tasks", "list", "--kind", "build_index")["tasks"]} == {"cancelled"}


def test_build_draws_a_bar_when_it_has_a_terminal(terminal: Terminal) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        terminal.command("images", "build", dataset(terminal, "mill")),
        cwd=terminal.home,
        env=terminal.environment({"TERM": "xterm-256color"}),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        drawn = b""
        while True:
            try:
                drawn += os.read(ours, 65536)
            except OSError:
                break
        out, _ = process.communicate(timeout=40)
    os.close(ours)

    assert process.returncode == 0
    assert b"3/3" in drawn
    assert b"\x1b" not in out
    assert b"mill: 3 images, 3 embedded" in out


def test_worker_that_runs_does_the_work_and_reads_the_text_later(serving: Terminal) -> None:
    done = serving.run("images", "build", dataset(serving, "mill"))

    assert (done.code, "3 embedded" in done.out) == (0, True)
    assert "No worker is running" not in done.err
    assert "read in the background" in done.err


@pytest.mark.slow
def test_text_in_images_is_waited_for_where_no_worker_runs(terminal: Terminal) -> None:
    del terminal.extra["GRISTMILL_IMAGES__OCR"]
    folder = dataset(terminal, "mill", tints=1)
    sign = Image.new("RGB", (900, 200), "white")
    ImageDraw.Draw(sign).text((40, 50), "DANGER", fill="black", font=ImageFont.load_default(80))
    sign.save(folder / "sign.png")

    left = terminal.run("images", "build", folder, "--no-text")
    sign.save(folder / "sign.jpg")
    waited = terminal.run("images", "build", folder, "--json")

    assert "left to the next worker" in left.err
    assert (waited.json["text"]["is_over"], waited.json["text"]["with_text"]) == (True, 1)
    found = terminal.json("search", "danger", "--collection", "mill", "--mode", "keyword")["hits"]
    assert "sign.jpg" in [hit["name"] for hit in found]


def test_collection_that_holds_text_is_left_alone(terminal: Terminal) -> None:
    (terminal.home / "note.md").write_text("# A note\n")
    terminal.json("index", "note.md", "--collection", "mill")

    done = terminal.run("images", "build", dataset(terminal, "mill"))

    assert (done.code, "holds text" in done.out) == (1, True)
    assert terminal.json("collections", "show", "mill")["documents"] == 1


def test_folder_that_was_emptied_loses_nothing(terminal: Terminal) -> None:
    folder = dataset(terminal, "mill")
    terminal.json("images", "build", folder)
    for file in (folder / "tints").iterdir():
        file.unlink()

    done = terminal.run("images", "build", folder)

    assert (done.code, "mill: failed" in done.out, "Traceback" in done.err) == (1, True, False)
    assert terminal.json("images", "list")["datasets"][0]["images"] == 3


@pytest.mark.parametrize(
    ("named", "code", "said"),
    [
        (["nowhere"], 2, "no folder nowhere"),
        (["~nobody-of-that-name/x"], 2, "no folder"),
        (["x" * 300], 2, "no folder"),
        (["mill", "nowhere"], 2, "no folder nowhere"),
        (["mill/tints/tint0.png"], 2, "no folder mill/tints"),
        (["mill", "away/mill"], 2, "would both become the dataset mill"),
        (["/"], 2, "cannot be a dataset"),
        (["empty"], 1, "no image in empty"),
        (["papers"], 1, "no image in papers"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_nothing_is_queued_of_what_cannot_be_built(terminal: Terminal, named: list[str], code: int, said: str) -> None:
    dataset(terminal, "mill", tints=1)
    dataset(terminal, "mill", tints=1, under="away")
    (terminal.home / "empty").mkdir()
    (terminal.home / "papers").mkdir()
    (terminal.home / "papers" / "note.md").write_text("# No picture\n")

    done = terminal.run("images", "build", *named)

    assert (done.code, done.out, "Traceback" in done.err) == (code, "", False)
    assert said in done.err
    assert terminal.json("tasks", "list")["tasks"] == []
