"""``gristmill tasks watch`` without a task follows all of them, from now on."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gristmill.app import Gristmill, open_gristmill
from gristmill.db.tasks.moves import add_tasks
from gristmill.settings import load_settings
from tests.integration.cli.terminal import Terminal
from tests.support.postgres import fresh_database
from tests.support.tasks import new_task
from tests.support.waiting import eventually


@pytest.fixture(params=["sqlite", "postgres"])
def app(request: pytest.FixtureRequest, terminal: Terminal) -> Iterator[Gristmill]:
    """What the terminal looks at."""
    database = {"url": fresh_database()} if request.param == "postgres" else {}
    if database:
        terminal.extra["GRISTMILL_DATABASE__URL"] = database["url"]
    app = open_gristmill(load_settings(data=terminal.data, overrides={"database": database}, environ={}))
    yield app
    app.close()


@contextmanager
def watched(terminal: Terminal, app: Gristmill, *options: str) -> Iterator[Path]:
    """A file that fills with what is watched, once it has begun to; then somebody presses Ctrl-C."""
    output = terminal.home / "watched"

    def has_begun() -> bool:
        # What was there before is not told, so that something has to happen.
        app.tasks.submit("ping", {})
        return output.stat().st_size > 0

    with (
        output.open("wb") as out,
        subprocess.Popen(
            terminal.command("tasks", "watch", *options), cwd=terminal.home, env=terminal.environment(), stdout=out
        ) as process,
    ):
        try:
            eventually(has_begun, 20)
            yield output
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)


def events_in(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]


def test_watch_tells_what_happens_from_now_on(terminal: Terminal, app: Gristmill) -> None:
    before = app.tasks.submit("ping", {})
    with watched(terminal, app) as output:
        task = app.tasks.submit("ping", {})
        app.tasks.cancel_one(task.id)

        eventually(lambda: "cancelled" in output.read_text("utf-8"))

    lines = output.read_text("utf-8").splitlines()
    assert [line.split()[0] for line in lines[-2:]] == [task.id, task.id]
    assert [line.split()[-1] for line in lines[-2:]] == ["submitted", "cancelled"]
    assert not any(before.id in line for line in lines)


@pytest.mark.parametrize("app", ["postgres"], indirect=True)
def test_watch_misses_nothing_that_is_committed_late(terminal: Terminal, app: Gristmill) -> None:
    late = new_task()
    with watched(terminal, app, "--json") as output:
        with app.database.write() as transaction:
            add_tasks(transaction, [late], app.clock.now())
            early = app.tasks.submit("ping", {})
            with pytest.raises(AssertionError):
                eventually(lambda: early.id in output.read_text("utf-8"), 0.6)

        eventually(lambda: events_in(output)[-1]["task_id"] == early.id)

    told = events_in(output)
    assert [event["seq"] for event in told] == [event.seq for event in app.store.events(after=told[0]["seq"] - 1)]
    assert [event["task_id"] for event in told[-2:]] == [late.id, early.id]
