"""The real thing for tests: an API on a free loopback port over a data directory, and a worker process beside it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from gristmill.api.server import Server
from gristmill.app import Gristmill, open_gristmill
from gristmill.settings import load_settings
from tests.support.waiting import eventually

__all__ = ["Service", "serving", "working"]

_TIMEOUT_SECONDS = 50


class Service:
    """A running API as a client sees it: addresses are paths, answers are those of ``requests``."""

    def __init__(self, app: Gristmill, port: int, server: Server | None = None) -> None:
        self.app = app
        self._server = server
        self.url = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        self.session.trust_env = False

    @property
    def watchers(self) -> int:
        """How many follow tasks."""
        assert self._server is not None
        return len(self._server.hub)

    def stop(self) -> None:
        """Have it stop, as SIGTERM does."""
        assert self._server is not None
        self._server.should_exit = True

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=_TIMEOUT_SECONDS, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.call("POST", path, **options)

    def put(self, path: str, **options: Any) -> requests.Response:
        return self.call("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> requests.Response:
        return self.call("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return self.call("DELETE", path, **options)

    def data(self, response: requests.Response) -> Any:
        """What an answer below ``/api`` carries; fails on a refusal."""
        assert response.ok, response.text
        answer = response.json()
        assert answer["success"] is True
        assert isinstance(answer["message"], str)
        return answer["data"]

    def register(self, *texts: str, collection: str = "default") -> list[int]:
        """Hand in a text file per text; the ids of the documents."""
        files = [("files", (f"{collection}-{number}.txt", text.encode())) for number, text in enumerate(texts)]
        data = self.data(self.post("/api/documents", files=files, data={"collection": collection}))
        return [document["id"] for document in data["documents"]]

    def ended(self, task_id: str) -> dict[str, Any]:
        """The task once it has ended."""

        def look() -> dict[str, Any] | None:
            task: dict[str, Any] = self.data(self.get(f"/api/tasks/{task_id}"))
            return task if task["state"] in ("completed", "failed", "cancelled") else None

        return eventually(look, seconds=40) or {}


@contextmanager
def serving(data: Path, overrides: Mapping[str, Any] | None = None) -> Iterator[Service]:
    """An API on ``data``; afterwards no database connection may be in use."""
    merged = {name: dict(section) for name, section in (overrides or {}).items()}
    merged.setdefault("api", {}).setdefault("port", 0)
    app = open_gristmill(load_settings(data=data, overrides=merged, environ={}))
    server = Server(app)
    thread = threading.Thread(target=server.serve_until_stopped, name="api")
    thread.start()
    service = Service(app, server.port, server)
    try:
        eventually(lambda: server.started)
        yield service
    finally:
        service.session.close()
        service.stop()
        thread.join(timeout=20)
        # Others are told on a thread, which may be at it.
        app.bell.close()
        in_use = app.database.checked_out()
        app.close()
        assert in_use == 0


@contextmanager
def working(
    data: Path, *, slots: int = 1, database: str | None = None, variables: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A worker process on ``data``, or on a ``database`` by URL, which ends with this block or with the test run.

    ``variables`` are settings of its own.
    """
    command = [sys.executable, "-m", "gristmill.worker", "--data", str(data), "--concurrency", str(slots), "--attached"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
    if database is not None:
        environment["GRISTMILL_DATABASE__URL"] = database
    environment |= variables or {}
    source = str(Path(__file__).parents[2] / "src")
    worker = subprocess.Popen(
        command, env={**environment, "PYTHONPATH": source}, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        worker.terminate()
        worker.communicate(timeout=30)
