"""Follows a task as it goes, over server-sent events; a connection that breaks is made again where it broke."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx

from gristmill.client.connection import Connection
from gristmill.client.values import Task, Update, read
from gristmill.errors import Unavailable

__all__ = ["follow"]

_PAUSE_SECONDS = 0.5
_MOST_FAILURES = 20


def follow(connection: Connection, task_id: str, *, after: int) -> Iterator[Update | Task]:
    """What happens to the task behind the event ``after``, and at last the task as it ended."""
    path = f"/api/tasks/{task_id}/events"
    cursor = str(after)
    failures = 0
    while True:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
        try:
            with connection.stream(path, **headers) as answer:
                if answer.status_code == httpx.codes.NO_CONTENT:
                    yield read(Task, connection.ask("GET", f"/api/tasks/{task_id}"))
                    return
                for frame in _frames(answer):
                    failures = 0
                    cursor = frame["cursor"]
                    if frame["type"] == "update":
                        yield read(Update, frame)
                    elif frame["type"] == "end":
                        yield read(Task, frame["task"])
                        return
        except httpx.TransportError as error:
            failures += 1
            if failures > _MOST_FAILURES:
                raise Unavailable("service_unreachable", url=connection.url, reason=type(error).__name__) from error
        time.sleep(_PAUSE_SECONDS)


def _frames(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))
