"""`gristmill index --watch`: a collection follows its folder, and reads nothing that is still being written."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gristmill.app import Gristmill, open_gristmill
from gristmill.index.model import DocumentFilter
from gristmill.settings import load_settings
from gristmill.tasks.model import TaskFilter
from tests.integration.cli.terminal import Terminal
from tests.support.waiting import eventually

Library = Callable[[int], Path]
SOON = 40


@contextmanager
def watching(terminal: Terminal, *arguments: object) -> Iterator[Gristmill]:
    """What the command keeps up to date, while it runs; it must go when asked to."""
    command = terminal.command("index", *arguments, "--watch")
    process = subprocess.Popen(command, cwd=terminal.home, env=terminal.environment(), stderr=subprocess.DEVNULL)
    eventually(lambda: (terminal.data / "gristmill.db").exists() or process.poll() is not None, SOON)
    app = open_gristmill(load_settings(data=terminal.data, environ={}))
    try:
        yield app
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        app.close()


def names(app: Gristmill) -> list[str]:
    """Of the documents that can be found."""
    found = app.index.documents(DocumentFilter(), limit=100)
    return sorted(document.name for document in found if document.version is not None)


def shows(app: Gristmill, expected: Sequence[str]) -> None:
    eventually(lambda: names(app) == list(expected), SOON)


def test_watched_folder_is_followed_wherever_its_files_go(terminal: Terminal, library: Library) -> None:
    folder = library(2)
    with watching(terminal, folder) as app:
        shows(app, ["note0.md", "note1.md"])

        (folder / "note0.md").write_text("# Changed\n\nThe wheel stands.\n")
        (folder / "new.md").write_text("# New\n\n水车转动。\n")
        (folder / "passed.over").write_text("of no known format")
        shows(app, ["new.md", "note0.md", "note1.md"])
        eventually(lambda: app.index.documents(DocumentFilter(name="note0.md"), limit=1)[0].title == "Changed", SOON)

        (folder / "deep").mkdir()
        (folder / "new.md").rename(folder / "deep" / "moved.md")
        (folder / "note1.md").unlink()
        shows(app, ["moved.md", "note0.md"])


def test_what_happened_while_nobody_watched_is_made_up_for(terminal: Terminal, library: Library) -> None:
    folder = library(3)
    terminal.json("index", folder)
    (folder / "note2.md").unlink()

    with watching(terminal, folder) as app:
        shows(app, ["note0.md", "note1.md"])


def test_file_that_is_being_written_is_read_when_it_is_whole(terminal: Terminal, library: Library) -> None:
    folder = library(1)
    with watching(terminal, folder) as app:
        shows(app, ["note0.md"])
        file = folder / "slow.md"
        written = threading.Event()

        def write() -> None:
            with file.open("w") as out:
                for line in range(12):
                    out.write(f"Line {line} of twelve.\n\n")
                    out.flush()
                    os.fsync(out.fileno())
                    # So slowly that any look would find a part of it.
                    written.wait(0.25)

        writer = threading.Thread(target=write)
        writer.start()
        shows(app, ["note0.md", "slow.md"])
        writer.join()

        document = app.index.documents(DocumentFilter(name="slow.md"), limit=1)[0]
        assert document.version is not None
        assert (document.version.number, document.version.size) == (1, file.stat().st_size)


def test_burst_of_changes_is_one_pass(terminal: Terminal, library: Library) -> None:
    folder = library(1)
    with watching(terminal, folder) as app:
        shows(app, ["note0.md"])
        passes = TaskFilter(kinds=["index_source"])
        eventually(lambda: app.tasks.find(passes, limit=1), SOON)
        before = len(app.tasks.find(passes, limit=50))

        for number in range(40):
            (folder / f"burst{number:02}.md").write_text(f"# Burst {number}\n\nOne of many.\n")

        eventually(lambda: len(names(app)) == 41, SOON)
        assert len(app.tasks.find(passes, limit=50)) - before <= 2


def test_single_file_is_followed_too(terminal: Terminal, library: Library) -> None:
    folder = library(2)
    with watching(terminal, folder / "note0.md") as app:
        shows(app, ["note0.md"])
        (folder / "note1.md").write_text("# Not asked for\n\nNever read.\n")
        (folder / "note0.md").unlink()
        shows(app, [])


def test_file_that_goes_is_told_from_those_whose_names_begin_as_its_own(terminal: Terminal, library: Library) -> None:
    file = library(1) / "note0.md"
    namesakes = [file.with_name(f"note0.md.{number}.txt") for number in range(3)]
    for namesake in namesakes:
        namesake.write_text("Another file.\n")
        terminal.json("index", namesake)

    with watching(terminal, file) as app:
        shows(app, ["note0.md", *(namesake.name for namesake in namesakes)])
        file.unlink()
        shows(app, [namesake.name for namesake in namesakes])


def test_only_files_can_be_watched(terminal: Terminal) -> None:
    refused = terminal.run("index", "https://example.com/a.html", "--watch")

    assert refused.code == 2
    assert "Only files and folders can be watched" in refused.err
