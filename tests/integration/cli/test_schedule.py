"""Schedules from the command line, and the processes that carry them out."""

import os
import pty
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gristmill.app import open_gristmill
from gristmill.settings import load_settings
from gristmill.tasks.secrets import opened
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


def test_schedule_is_changed_in_what_is_given_and_stays_in_the_rest(terminal: Terminal) -> None:
    added = terminal.json(
        "schedule", "add", "nightly", "--cron", "0 3 * * *", "--tz", "Europe/Berlin", "--kind", "ping",
        "--payload", '{"note": "one"}', "--priority", "7", "--misfire", "all",
    )  # fmt: skip

    later = terminal.json("schedule", "edit", "nightly", "--cron", "0 4 * * *")
    moved = terminal.json("schedule", "edit", added["id"], "--tz", "Asia/Shanghai", "--priority", "0")
    told = terminal.run(
        "schedule", "edit", "nightly", "--name", "dawn", "--every", "2h", "--payload", '{"note": "two"}',
        "--misfire", "skip", "--overlap", "allow", "--collection", "mill",
    )  # fmt: skip
    changed = terminal.json("schedule", "show", "dawn")
    other = terminal.json("schedule", "edit", "dawn", "--kind", "clean_up", "--payload", "{}")

    moves = ("updated_at", "next_ticks", "rule")
    assert later == {**added, "cron": "0 4 * * *", **{field: later[field] for field in moves}}
    assert later["next_ticks"] != added["next_ticks"]
    assert (moved["cron"], moved["timezone"], moved["priority"]) == ("0 4 * * *", "Asia/Shanghai", 0)
    assert moved["next_ticks"] != later["next_ticks"]
    assert (told.code, told.out) == (0, "Changed the schedule dawn\n")
    assert (changed["id"], changed["name"], changed["cron"], changed["every_seconds"]) == (
        added["id"], "dawn", None, 7200,
    )  # fmt: skip
    assert (changed["payload"], changed["kind"], changed["priority"]) == ({"note": "two"}, "ping", 0)
    assert (changed["misfire"], changed["overlap"], changed["collection"]) == ("skip", "allow", "mill")
    assert (other["kind"], other["payload"], other["every_seconds"]) == ("clean_up", {}, 7200)


def test_schedule_that_indexes_keeps_its_place_until_another_is_given(
    terminal: Terminal, library: Callable[[int], Path]
) -> None:
    notes = library(1)
    address = "https://a.example/x?key=1"
    added = terminal.json("schedule", "add", "notes", "--every", "1d", "--index", "notes", "-c", "mill", "--prune")

    forced = terminal.json("schedule", "edit", "notes", "--force", "--no-prune")
    filed = terminal.json("schedule", "edit", "notes", "--collection", "weir")
    file = terminal.json("schedule", "edit", "notes", "--index", notes / "note0.md")
    page = terminal.json("schedule", "edit", "notes", "--index", address)
    unforced = terminal.json("schedule", "edit", "notes", "--no-force")
    with closing(open_gristmill(load_settings(data=terminal.data))) as app:
        kept = opened(app.kinds["index_source"], app.schedules.get("notes").payload, app.vault)["source"]
    terminal.json("schedule", "edit", "notes", "--kind", "ping", "--payload", "{}")
    again = terminal.json("schedule", "edit", "notes", "--index", "notes")

    assert forced["payload"] == {**added["payload"], "force": True, "prune": False}
    assert filed["payload"] == {**forced["payload"], "collection": "weir"}
    assert (added["collection"], filed["collection"]) == ("mill", "weir")
    assert file["payload"] == {**filed["payload"], "source": os.path.realpath(notes / "note0.md")}
    # The query may open a door: it is shown to nobody, and goes through every change.
    assert (page["payload"]["source"], "root" in page["payload"]) == ("https://a.example/x?***", False)
    assert unforced["payload"] == {**page["payload"], "force": False}
    assert kept == address
    assert again["kind"] == "index_source"
    assert again["payload"]["source"] == again["payload"]["root"] == os.path.realpath(notes)
    assert again["payload"]["settle_seconds"] == added["payload"]["settle_seconds"]
    assert terminal.run("schedule", "run", "notes", "--wait").code == 0
    assert terminal.json("documents", "list")["total"] == 1


def test_change_that_makes_no_sense_is_refused_and_changes_nothing(terminal: Terminal) -> None:
    for name in ("pinging", "taken"):
        terminal.run("schedule", "add", name, "--every", "1d", "--kind", "ping", "--payload", '{"note": "as it was"}')
    before = terminal.json("schedule", "list")

    for arguments, code, says in (
        (("pinging",), 2, "Give what is to be different, such as --every 2h"),
        (("pinging", "--prune"), 2, "pinging does not index but submits ping. Give --index as well"),
        (("pinging", "--index", ".", "--kind", "ping"), 2, "go with neither --kind nor --payload"),
        (("pinging", "--no-force", "--payload", "{}"), 2, "go with neither --kind nor --payload"),
        (("pinging", "--payload", "{"), 2, "is not JSON"),
        (("pinging", "--payload", '{"note": 1}'), 2, "Field note"),
        (("pinging", "--kind", "grind"), 2, "no task kind grind"),
        (("pinging", "--index", "nowhere"), 2, "nowhere"),
        (("pinging", "--every", "0"), 2, "every is “0”"),
        (("pinging", "--every", "1h", "--cron", "@daily"), 2, "exactly one rule"),
        (("pinging", "--tz", "Europe/Berlin"), 2, "an interval looks at no clock"),
        (("pinging", "--cron", "@daily", "--tz", "Europe/Berln"), 2, "as Europe/Berlin"),
        (("pinging", "--name", "a/b"), 2, "name is “a/b”"),
        (("pinging", "--name", "taken"), 1, "a schedule called taken already"),
        (("pinging", "--priority", "10"), 2, "'--priority': 10 is not in the range 0<=x<=9"),
        (("pinging", "--misfire", "never"), 2, "'--misfire': 'never' is not one of"),
        (("nobody", "--every", "1h"), 1, "There is no schedule nobody. List them with gristmill schedule list"),
    ):
        refused = terminal.run("schedule", "edit", *arguments)
        assert (refused.code, refused.out, says in refused.err) == (code, "", True), refused
        assert "Traceback" not in refused.err

    assert [one["name"] for one in before["schedules"]] == ["pinging", "taken"]
    assert terminal.json("schedule", "list") == before


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
