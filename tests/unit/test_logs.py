"""Log lines are events with facts, in one form for our code and that of libraries, and never tell a secret."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gristmill.logs import configure_logs, get_log, log_context


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("gristmill")
    before = list(root.handlers), root.level, ours.level
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_log_writes_the_event_with_its_facts_when_json_is_asked_for() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream=stream)

    get_log("gristmill.tasks").info("task.claimed", lease=3, title="索引")

    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "task.claimed",
        "level": "info",
        "logger": "gristmill.tasks",
        "lease": 3,
        "title": "索引",
    }
    assert "索引" in stream.getvalue()


def test_log_writes_plain_text_when_the_stream_is_a_file_for_people() -> None:
    stream = io.StringIO()
    configure_logs("info", "console", stream=stream)

    get_log("gristmill.tasks").info("task.claimed", lease=3)

    assert "task.claimed" in stream.getvalue()
    assert "lease=3" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_log_adds_the_bound_task_only_inside_the_block() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream=stream)
    log = get_log("gristmill.tasks")

    with log_context(task_id="t1"), log_context(worker_id="w1"):
        log.info("task.claimed")
    log.info("worker.stopped")

    inside, outside = lines(stream)
    assert (inside["task_id"], inside["worker_id"]) == ("t1", "w1")
    assert "task_id" not in outside


def test_log_keeps_lines_below_its_level_and_libraries_small_talk_to_itself() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream=stream)

    get_log("gristmill.tasks").debug("task.looked_at")
    logging.getLogger("library").info("small talk")
    logging.getLogger("library").warning("careful: %s", "hot")

    assert [(line["event"], line["logger"]) for line in lines(stream)] == [("careful: hot", "library")]


def test_log_writes_each_line_once_when_configured_again() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs("info", "json", stream=first)
    configure_logs("debug", "json", stream=second)

    get_log("gristmill.tasks").debug("task.looked_at")

    assert first.getvalue() == ""
    assert len(lines(second)) == 1


def test_log_tells_the_traceback_when_an_exception_is_handled() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream=stream)

    try:
        raise ConnectionError("redis://user:hush@cache:6379/0 refused")
    except ConnectionError:
        get_log("gristmill.engines").exception("dispatch.failed")

    (line,) = lines(stream)
    assert line["level"] == "error"
    assert "ConnectionError: redis://user:***@cache:6379/0 refused" in line["exception"]


@pytest.mark.parametrize("format_", ["json", "console"])
def test_log_masks_secrets_wherever_they_stand(format_: Any) -> None:
    stream = io.StringIO()
    configure_logs("info", format_, stream=stream)

    get_log("gristmill.api").warning(
        "request.refused",
        api_key="hush",
        headers={"Authorization": "hush", "x": ["Bearer hush-hush-hush"]},
        key=SecretStr("hush"),
        url="redis://:hush@cache/0",
        tokens=7,
    )
    logging.getLogger("library").warning("cannot reach %s", "postgresql://me:hush@db/x")

    assert "hush" not in stream.getvalue()
    assert "tokens" in stream.getvalue()
    assert "postgresql://me:***@db/x" in stream.getvalue()


def test_log_keeps_its_own_fields_when_a_fact_has_the_same_name() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream=stream)

    get_log("gristmill.tasks").info("task.claimed", level="high")

    (line,) = lines(stream)
    assert (line["level"], line["level_"]) == ("info", "high")


def test_log_goes_on_in_a_new_file_when_the_old_one_is_moved_away(tmp_path: Path) -> None:
    file = tmp_path / "worker.log"
    configure_logs("info", "json", file=file)
    log = get_log("gristmill.worker")

    log.info("worker.started")
    file.rename(tmp_path / "worker.log.1")
    log.info("worker.stopped")

    assert "worker.started" in (tmp_path / "worker.log.1").read_text("utf-8")
    assert "worker.stopped" in file.read_text("utf-8")
