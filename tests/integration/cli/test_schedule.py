"""Schedules from the command line, and the processes that carry them out."""

import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli.terminal import Terminal
from tests.support.waiting import eventually


@pytest.mark.slow
def test_folder_is_indexed_on_an_interval_and_a_changed_file_by_the_next_tick(
    terminal: Terminal, library: Callable[[int], Path]
) -> None:
    notes = library(2)
    environment = {"GRISTMILL_TASKS__SWEEP_SECONDS": "0.5"}
    added = terminal.run("schedule", "add", "notes", "--every", "1", "--index", "notes", "-c", "mill", "--prune")
    terminal.run("up", "--port", "0", environment=environment)

    def found(query: str) -> set[str]:
        answer = terminal.run("search", query, "--collection", "mill", "--mode", "keyword", "--json")
        return {hit["name"] for hit in answer.json["hits"]} if answer.code == 0 else set()

    eventually(lambda: found("sweeper") == {"note0.md", "note1.md"}, 40)
    (notes / "note1.md").write_text("The weir holds the water back.", "utf-8")
    eventually(lambda: found("weir") == {"note1.md"}, 40)
    (notes / "note0.md").unlink()
    eventually(lambda: found("sweeper") == set(), 40)

    shown = terminal.json("schedule", "show", "notes")
    terminal.run("down")
    assert "Made the schedule notes" in added.out
    assert "No worker is running" in added.err
    assert shown["fired"] >= 2
    assert shown["payload"]["source"] == shown["payload"]["root"] == os.path.realpath(notes)


def test_scheduler_submits_what_is_due_without_a_worker(terminal: Terminal) -> None:
    terminal.run("schedule", "add", "often", "--every", "1s", "--kind", "ping", "--overlap", "allow")
    with subprocess.Popen(
        terminal.command("scheduler"),
        cwd=terminal.home,
        env=terminal.environment({"GRISTMILL_LOG__FORMAT": "json"}),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        eventually(lambda: terminal.json("schedule", "show", "often")["fired"] >= 2, 30)
        process.terminate()
        _, err = process.communicate(timeout=10)

    shown = terminal.json("schedule", "show", "often")
    assert process.returncode == 0
    assert err.count("schedule.fired") == shown["fired"] == len(terminal.json("tasks", "list")["tasks"])


def test_schedule_is_looked_at_paused_run_and_removed(terminal: Terminal) -> None:
    empty = terminal.run("schedule", "list")
    added = terminal.json(
        "schedule", "add", "nightly", "--cron", "0 3 * * mon-fri", "--tz", "Europe/Berlin", "--kind", "ping",
        "--payload", '{"note": "晚安"}', "--priority", "7", "--misfire", "all", "--paused",
    )  # fmt: skip
    listed = terminal.run("schedule", "list")
    resumed = terminal.json("schedule", "resume", "nightly")
    ran = terminal.run("schedule", "run", "nightly", "--wait")
    queued = terminal.json("schedule", "run", added["id"])
    shown = terminal.run("schedule", "show", "nightly")
    paused = terminal.run("schedule", "pause", "nightly")
    removed = terminal.run("schedule", "remove", "nightly", "--yes")
    gone = terminal.run("schedule", "show", "nightly")

    assert "no schedules yet" in empty.out
    assert (added["cron"], added["timezone"], added["priority"]) == ("0 3 * * mon-fri", "Europe/Berlin", 7)
    assert (added["misfire"], added["overlap"], added["next_ticks"]) == ("all", "skip", [])
    assert "0 3 * * mon-fri (Europe/Berlin)" in listed.out
    assert "paused" in listed.out
    assert (resumed["paused"], len(resumed["next_ticks"])) == (False, 5)
    assert (ran.code, ran.out) == (0, '{"note": "晚安"}\n')
    assert queued["state"] == "pending"
    assert all(text in shown.out for text in (added["id"], queued["task_id"], "晚安", "0 fired, 0 skipped, 0 missed"))
    assert paused.out == "Paused the schedule nightly\n"
    assert removed.out == "Removed the schedule nightly\n"
    assert (gone.code, gone.out) == (1, "")
    assert "There is no schedule nightly" in gone.err
    assert len(terminal.json("tasks", "list")["tasks"]) == 2


def test_file_and_address_are_sources_as_well(terminal: Terminal, library: Callable[[int], Path]) -> None:
    notes = library(1)

    file = terminal.json("schedule", "add", "file", "--every", "1d", "--index", notes / "note0.md")
    address = terminal.json("schedule", "add", "page", "--every", "1d", "--index", "https://a.example/x?key=1")
    typed = terminal.json(
        "schedule", "add", "typed", "--every", "1d", "--kind", "index_source", "--payload", '{"source": "notes"}'
    )

    assert file["payload"]["root"] == os.path.realpath(notes)
    assert (address["payload"]["source"], address["collection"]) == ("https://a.example/x?***", "default")
    assert "root" not in address["payload"]
    assert typed["payload"]["root"] == typed["payload"]["source"] == os.path.realpath(notes)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--every", "1d"), 2, "exactly one of --index and --kind"),
        (("--every", "1d", "--kind", "ping", "--index", "."), 2, "exactly one of --index and --kind"),
        (("--every", "1d", "--kind", "ping", "--prune"), 2, "go with --index"),
        (("--every", "1d", "--index", ".", "--payload", "{}"), 2, "--payload goes with --kind"),
        (("--every", "1d", "--kind", "ping", "--payload", "{"), 2, "is not JSON"),
        (("--every", "1d", "--kind", "ping", "--payload", "[]"), 2, "is not an object"),
        (("--kind", "ping"), 2, "exactly one rule"),
        (("--every", "0", "--kind", "ping"), 2, "every is “0”"),
        (("--cron", "0 3 * * funday", "--kind", "ping"), 2, "part 5, the day of week"),
        (("--cron", "@daily", "--tz", "Europe/Berln", "--kind", "ping"), 2, "as Europe/Berlin"),
        (("--every", "1d", "--kind", "grind"), 2, "no task kind grind"),
        (("--every", "1d", "--kind", "ping", "--payload", '{"note": 1}'), 2, "Field note"),
        (("--every", "1d", "--index", "nowhere"), 2, "nowhere"),
        (("--every", "1d", "--index", "ftp://a.example/x"), 2, "ftp"),
    ],
)
def test_wrong_use_says_what_is_wrong(terminal: Terminal, arguments: tuple[str, ...], code: int, says: str) -> None:
    refused = terminal.run("schedule", "add", "new", *arguments)

    assert (refused.code, refused.out) == (code, "")
    assert says in refused.err
    assert "Traceback" not in refused.err


def test_removing_asks_where_somebody_can_answer(terminal: Terminal) -> None:
    terminal.run("schedule", "add", "kept", "--every", "1d", "--kind", "ping")

    unasked = terminal.run("schedule", "remove", "kept")
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        terminal.command("schedule", "remove", "kept"),
        env=terminal.environment(),
        cwd=terminal.home,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    os.write(ours, b"n\n")
    _, err = asked.communicate(timeout=30)
    os.close(ours)

    assert unasked.code == 2
    assert "--yes" in unasked.err
    assert asked.returncode == 130
    assert b"Remove the schedule kept?" in err
    assert [one["name"] for one in terminal.json("schedule", "list")["schedules"]] == ["kept"]


def test_refusals_and_answers_are_told_in_chinese(terminal: Terminal) -> None:
    chinese = {"GRISTMILL_LANGUAGE": "zh"}

    refused = terminal.run("schedule", "add", "x", "--cron", "bad", "--kind", "ping", environment=chinese)
    made = terminal.run("schedule", "add", "夜间", "--every", "1d", "--kind", "clean_up", environment=chinese)

    assert "个部分" in refused.err
    assert "已新建计划 夜间" in made.out
