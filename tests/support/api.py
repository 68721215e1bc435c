"""The API as a process of its own, which can be killed."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from tests.support.processes import python_environment
from tests.support.waiting import eventually

__all__ = ["ApiProcess", "api_process"]


class ApiProcess:
    """A running API, and how to reach it."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        self.session.trust_env = False

    def submit(self, note: str) -> str:
        """Submit one task; its id. Any failure of the connection propagates."""
        answer = self.session.post(
            f"{self.url}/api/tasks", json={"kind": "ping", "payload": {"note": note}}, timeout=20
        )
        assert answer.status_code == 202, answer.text
        task_id: str = answer.json()["data"]["id"]
        return task_id

    def submit_until_it_dies(self, most: int = 100) -> list[str]:
        """Submit one after the other; the ids that were answered."""
        answered: list[str] = []
        # It may die in the middle of an answer as well.
        with suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            while len(answered) < most:
                answered.append(self.submit(f"task {len(answered)}"))
        return answered


@contextmanager
def api_process(
    data: Path, *, failpoint: str = "", module: str = "gristmill.api", **settings: str
) -> Iterator[ApiProcess]:
    """An API on ``data``, started as ``module``; afterwards it is gone, one way or another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = python_environment(
        GRISTMILL_DATA=str(data), GRISTMILL_API__PORT=str(port), GRISTMILL_FAILPOINT=failpoint, **settings
    )
    process = subprocess.Popen(
        [sys.executable, "-m", module], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    api = ApiProcess(process, port)

    def listens() -> bool:
        assert process.poll() is None, "it did not start"
        with suppress(requests.ConnectionError):
            return api.session.get(f"{api.url}/health/live", timeout=5).ok
        return False

    try:
        eventually(listens, 30)
        yield api
    finally:
        api.session.close()
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
