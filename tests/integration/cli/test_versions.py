"""`gristmill versions`: earlier versions of documents and collections from the command line, with no service running."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from gristmill.cli.versions import versions
from tests.integration.cli.terminal import Terminal

Library = Callable[[int], Path]


def changed_once(terminal: Terminal, library: Library) -> int:
    """The id of a document that has two versions."""
    file = library(1) / "note0.md"
    doc_id: int = terminal.json("index", file)["indexed"][0]["doc_id"]
    file.write_text("# Note 0\n\nThe sweeper finds nothing any more.\n", "utf-8")
    terminal.json("index", file)
    return doc_id


def test_document_goes_back_and_stays_there(terminal: Terminal, library: Library) -> None:
    doc_id = changed_once(terminal, library)
    listed = terminal.json("versions", "list", doc_id)["versions"]
    assert [(version["version"], version["is_current"]) for version in listed] == [(2, True), (1, False)]
    assert terminal.json("versions", "diff", doc_id, 1, 2)["changed"] == 1
    assert "any more" in terminal.run("versions", "diff", doc_id, 1, 2).out

    terminal.json("versions", "rollback", doc_id, 1)

    assert "1*" in terminal.run("versions", "list", doc_id).out
    assert terminal.json("search", "lost task", "--mode", "keyword")["hits"]
    assert terminal.json("index", library(0) / "note0.md")["unchanged"] == 1
    assert "1*" in terminal.run("versions", "list", doc_id).out


def test_collection_goes_back_and_forth(terminal: Terminal, library: Library) -> None:
    folder = library(2)
    terminal.json("index", folder)
    taken = terminal.json("versions", "snapshot", "default", "before")
    (folder / "note9.md").write_text("# Note 9\n\nCame later.\n", "utf-8")
    terminal.json("index", folder)

    restored = terminal.json("versions", "restore", "default", taken["id"])

    assert (restored["changed"], restored["returned"], restored["removed"]) == (0, 0, 1)
    assert terminal.json("documents", "list")["total"] == 2
    back = terminal.run("versions", "restore", "default", restored["before"])
    assert "1 came back" in back.out
    assert terminal.json("documents", "list")["total"] == 3
    assert "before" in terminal.run("versions", "snapshots", "default").out
    terminal.json("versions", "forget", "default", taken["id"])
    ids = [snapshot["id"] for snapshot in terminal.json("versions", "snapshots", "default")["snapshots"]]
    assert taken["id"] not in ids


def test_what_is_not_there_is_said_so(terminal: Terminal, library: Library) -> None:
    doc_id = changed_once(terminal, library)

    for arguments, words in (
        (("rollback", doc_id, 9), "has no version 9"),
        (("diff", doc_id, 1, 9), "has no version 9"),
        (("list", 999), "There is no document 999"),
        (("restore", "default", 7), "has no snapshot 7"),
        (("snapshot", "nowhere", "x"), "There is no collection nowhere"),
    ):
        refused = terminal.run("versions", *arguments)
        assert (refused.code, words in refused.err) == (1, True), refused
    assert "There is no snapshot of default" in terminal.run("versions", "snapshots", "default").out


@pytest.mark.parametrize(
    "arguments",
    [["list", "0"], ["list", 2**63], ["diff", "1", "2"], ["rollback", "1", "first"], ["restore", "a", "-1"]],
)
def test_number_that_cannot_be_meant_is_wrong_use(terminal: Terminal, arguments: list[object]) -> None:
    refused = terminal.run("versions", *arguments)

    assert (refused.code, refused.out) == (2, "")


def test_snapshot_that_nobody_can_call_by_name_is_refused(terminal: Terminal, library: Library) -> None:
    terminal.json("documents", "add", library(1))

    refused = terminal.run("versions", "snapshot", "default", " ")

    assert refused.code == 2
    assert "1 to 200 printable characters" in refused.err


def test_examples_of_the_help_work(terminal: Terminal, library: Library) -> None:
    # The examples tell of document 17 and of snapshot 3.
    terminal.json("documents", "add", library(16))
    file = terminal.home / "plan.md"
    for text in ("Open the weir.", "Close the weir."):
        file.write_text(text, "utf-8")
        terminal.json("index", file, "--collection", "handbook")
    for name in ("one", "two", "three"):
        terminal.json("versions", "snapshot", "handbook", name)

    for command in versions.commands.values():
        example = shlex.split((command.epilog or "").splitlines()[2])
        done = terminal.run(*example[1:])
        assert done.code == 0, (example, done)
        assert done.out
