"""`gristmill index` and what can be done with what it made, without any service running."""

import json
import os
import pty
import signal
import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from gristmill.clock import SystemClock
from gristmill.db.blobs import FileBlobStore
from tests.integration.cli.terminal import Terminal

Library = Callable[[int], Path]


def test_index_brings_its_own_worker_and_leaves_nothing_running(terminal: Terminal, library: Library) -> None:
    folder = library(6)

    done = terminal.run("index", folder, "--json")

    assert done.code == 0, done
    assert done.json["state"] == "completed"
    assert sorted(line["name"] for line in done.json["indexed"]) == [f"note{number}.md" for number in range(6)]
    assert terminal.processes() == []


def test_index_passes_over_what_is_unchanged_without_a_task(terminal: Terminal, library: Library) -> None:
    folder = library(3)
    terminal.json("index", folder)
    tasks = len(terminal.json("tasks", "list")["tasks"])

    again = terminal.json("index", folder)

    assert (again["unchanged"], again["indexed"], again["task_id"]) == (3, [], None)
    assert len(terminal.json("tasks", "list")["tasks"]) == tasks


def test_index_takes_only_what_changed(terminal: Terminal, library: Library) -> None:
    folder = library(3)
    terminal.json("index", folder)
    (folder / "note1.md").write_text("# Note 1\n\nEntirely new.\n")

    again = terminal.json("index", folder)

    assert [line["name"] for line in again["indexed"]] == ["note1.md"]
    assert again["unchanged"] == 2


def test_index_tells_what_failed_and_exits_with_1(terminal: Terminal, library: Library) -> None:
    folder = library(2)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")

    done = terminal.run("index", folder)

    assert done.code == 1
    assert "Indexed 2 documents" in done.out
    assert "broken.pdf: " in done.out


def test_index_names_a_link_that_leaves_its_folder_and_indexes_the_rest(terminal: Terminal, library: Library) -> None:
    folder = library(1)
    (terminal.home / "secret.md").write_text("not yours")
    (folder / "link.md").symlink_to(terminal.home / "secret.md")

    done = terminal.run("index", folder, "--json")

    assert done.code == 1
    assert [line["name"] for line in done.json["indexed"]] == ["note0.md"]
    assert [line["name"] for line in done.json["failed"]] == ["link.md"]


def test_index_names_a_file_whose_name_is_no_text_and_indexes_the_rest(terminal: Terminal, library: Library) -> None:
    folder = library(1)
    (folder / "odd\udcff.md").write_text("No database can keep this name.")

    done = terminal.run("index", folder)
    alone = terminal.run("index", folder / "odd\udcff.md")

    assert done.code == 1
    assert "Indexed 1 documents" in done.out
    assert "odd?.md: The path of the file" in done.out
    assert (alone.code, alone.out) == (2, "")
    assert "Rename the file" in alone.err
    assert "Traceback" not in alone.err


def test_index_only_queues_when_told_not_to_wait(terminal: Terminal, library: Library) -> None:
    queued = terminal.json("index", library(2), "--no-wait")

    assert (queued["queued"], queued["worker_running"]) == (2, False)
    (task,) = terminal.json("tasks", "list", "--state", "pending")["tasks"]
    assert task["task_id"] == queued["task_id"]
    assert terminal.json("inspect", "reserved")["tasks"][0]["task_id"] == queued["task_id"]
    (documents,) = [line for line in terminal.json("inspect", "queues")["queues"] if line["waiting"]]
    assert (documents["queue"], documents["waiting"]) == ("documents", 1)


def test_index_cancels_its_task_when_interrupted_and_leaves_no_worker(terminal: Terminal, library: Library) -> None:
    folder = library(300)
    with subprocess.Popen(
        terminal.command("index", folder, "--concurrency", "1"),
        cwd=terminal.home,
        env=terminal.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        assert "No worker is running" in process.stderr.readline()

        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert "Cancelling" in err
    assert "cancelled" in out
    assert process.returncode == 1
    (task,) = terminal.json("tasks", "list", "--kind", "batch_index")["tasks"]
    assert task["state"] == "cancelled"


def test_worker_of_a_killed_index_goes_with_it(terminal: Terminal, library: Library) -> None:
    with subprocess.Popen(
        terminal.command("index", library(300), "--concurrency", "1"),
        cwd=terminal.home,
        env=terminal.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()

        process.kill()

    for left in terminal.processes():
        left.wait(timeout=20)


def test_index_draws_a_bar_when_it_has_a_terminal(terminal: Terminal, library: Library) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        terminal.command("index", library(2)),
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
        out, _ = process.communicate(timeout=30)
    os.close(ours)

    assert process.returncode == 0
    assert "━".encode() in drawn
    assert b"\x1b" not in out
    assert b"Indexed 2 documents" in out


def test_search_marks_matches_without_colour_when_piped(terminal: Terminal, library: Library) -> None:
    terminal.json("index", library(3))

    text = terminal.run("search", "sweeper").out
    hits = terminal.json("search", "清扫器", "--mode", "keyword", "--limit", "2")["hits"]

    assert "The «sweeper» finds lost task" in text
    assert "Note " in text.splitlines()[0]
    assert "\x1b" not in text
    assert len(hits) == 2
    (start, end), *_ = hits[0]["highlights"][0]["ranges"]
    assert hits[0]["highlights"][0]["text"][start:end] == "清扫器"


def test_documents_are_listed_shown_and_deleted(terminal: Terminal, library: Library) -> None:
    terminal.json("index", library(3))

    listed = terminal.json("documents", "list", "--name", "note1*")
    (document,) = listed["documents"]
    shown = terminal.json("documents", "show", document["doc_id"])
    deleted = terminal.json("documents", "delete", document["doc_id"])

    assert (listed["total"], document["state"]) == (1, "indexed")
    assert shown["versions"][0]["chunks"] == 1
    assert deleted == {"deleted": [document["doc_id"]]}
    assert terminal.json("documents", "list")["total"] == 2


def test_documents_are_registered_without_being_indexed(terminal: Terminal, library: Library) -> None:
    added = terminal.json("documents", "add", library(2), "https://example.com/handbook.html")

    assert {document["state"] for document in added["documents"]} == {"registered"}
    assert terminal.json("tasks", "list") == {"tasks": []}


def test_collection_is_shown_and_deleted_only_when_meant(terminal: Terminal, library: Library) -> None:
    terminal.json("documents", "add", library(2), "--collection", "notes")

    assert terminal.json("collections", "show", "notes")["documents"] == 2
    assert terminal.run("collections", "delete", "notes").code == 2
    assert terminal.json("collections", "delete", "notes", "--yes")["deleted_documents"] == 2
    assert terminal.json("collections", "list") == {"collections": []}


def test_tasks_are_watched_cancelled_and_retried(terminal: Terminal, library: Library) -> None:
    task_id = terminal.json("index", library(2), "--no-wait")["task_id"]

    assert terminal.json("tasks", "cancel", task_id) == {"cancelled": 1}
    assert terminal.run("tasks", "watch", task_id).code == 1
    assert terminal.json("tasks", "retry", "--state", "cancelled") == {"retried": 1}
    shown = terminal.json("tasks", "show", task_id)
    assert shown["state"] == "pending"
    assert [event["event"] for event in shown["events"]] == ["submitted", "cancelled", "retried"]


def test_watch_answers_one_event_a_line_when_json_is_asked_for(terminal: Terminal, library: Library) -> None:
    task_id = terminal.json("index", library(1))["task_id"]

    done = terminal.run("tasks", "watch", task_id, "--json")

    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert events[0]["event"] == "submitted"
    assert events[-1]["event"] == "completed"


def test_backup_unpacked_elsewhere_is_the_same_gristmill(terminal: Terminal, library: Library) -> None:
    terminal.json("index", library(2))
    blob_id, _ = FileBlobStore(terminal.data / "blobs", clock=SystemClock()).put(BytesIO(b"uploaded"), max_bytes=100)
    file = terminal.home / "backup.tar.gz"
    restored = terminal.home / "restored"

    written = terminal.json("backup", file)
    with tarfile.open(file) as archive:
        archive.extractall(restored, filter="data")

    assert (written["size"], written["uploads"]) == (file.stat().st_size, 1)
    with FileBlobStore(restored / "blobs", clock=SystemClock()).open(blob_id) as path:
        assert path.read_bytes() == b"uploaded"
    assert file.stat().st_mode & 0o077 == 0
    assert len(terminal.json("--data", restored, "search", "sweeper")["hits"]) == 2
    assert terminal.run("backup", file).code == 1


def test_keys_are_created_listed_and_revoked(terminal: Terminal) -> None:
    created = terminal.json("keys", "create", "laptop", "--scope", "read")

    assert created["key"].startswith("gm_")
    listed = terminal.run("keys", "list", "--json")
    assert created["key"] not in listed.out
    terminal.json("keys", "revoke", created["key_id"])
    assert terminal.json("keys", "list")["keys"][0]["revoked_at"] is not None


def test_migrate_makes_the_database_and_then_has_nothing_to_do(terminal: Terminal) -> None:
    first = terminal.json("migrate")
    second = terminal.json("migrate")

    assert first["applied"]
    assert second == {"applied": [], "copied": None}


def test_conf_masks_secrets(terminal: Terminal) -> None:
    environment = {"GRISTMILL_REDIS__URL": "redis://:hush@localhost/0", "GRISTMILL_EMBEDDING__HTTP_API_KEY": "hush"}

    text = terminal.run("inspect", "conf", environment=environment).out

    assert "redis.url" in text
    assert "hush" not in text


def test_doctor_brings_a_worker_for_the_round_trip_and_asks_for_one_of_your_own(terminal: Terminal) -> None:
    done = terminal.run("doctor", "--json")

    checks = {check["name"]: check for check in done.json["checks"]}
    assert done.code == 3
    assert [name for name, check in checks.items() if not check["ok"]] == ["workers"]
    assert "gristmill up" in checks["workers"]["remedy"]
    assert set(checks) == {"configuration", "sqlite", "disk", "database", "workers", "round trip", "embedder"}


def test_doctor_names_the_setting_that_is_wrong(terminal: Terminal) -> None:
    done = terminal.run("doctor", "--json", environment={"GRISTMILL_API__PORT": "many"})

    (check,) = done.json["checks"]
    assert done.code == 1
    assert (check["name"], check["ok"]) == ("configuration", False)
    assert "GRISTMILL_API__PORT" in check["detail"]


def test_scheduler_sweeps_until_it_is_told_to_stop(terminal: Terminal) -> None:
    with subprocess.Popen(
        terminal.command("scheduler"),
        cwd=terminal.home,
        env=terminal.environment({"GRISTMILL_LOG__FORMAT": "json"}),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "scheduler.started" in process.stderr.readline()

        process.terminate()
        _, err = process.communicate(timeout=10)

    assert process.returncode == 0
    assert "scheduler.stopped" in err
