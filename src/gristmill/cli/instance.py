"""What `up` started in one data directory: which processes, and where the API answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from gristmill.cli.processes import Background
from gristmill.engines.local import LOCAL

__all__ = ["Instance", "ask", "is_loopback", "reachable_url"]

_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Instance:
    """One data directory and its background processes."""

    data: Path

    @property
    def run(self) -> Path:
        """Where pid files are."""
        return self.data / "run"

    @property
    def api(self) -> Background:
        """The HTTP side."""
        return Background("api", self.run, self.data / "logs")

    @property
    def worker(self) -> Background:
        """The side that works, without a broker."""
        return self.worker_of(LOCAL)

    def worker_of(self, engine: str) -> Background:
        """The side that runs the tasks of ``engine``."""
        name = "worker" if engine == LOCAL else f"worker-{engine}"
        return Background(name, self.run, self.data / "logs")

    @property
    def broker(self) -> Background:
        """A Redis of our own."""
        return Background("redis", self.run, self.data / "logs")

    @property
    def processes(self) -> tuple[Background, ...]:
        """All that were started; where nothing was, the API and a worker."""
        started = sorted(path.stem.removeprefix("worker-") for path in self.run.glob("worker-*.pid"))
        workers = [self.worker_of(engine) for engine in started]
        if self.worker.pid_file.exists() or not workers:
            workers.insert(0, self.worker)
        broker = [self.broker] if self.broker.pid_file.exists() else []
        return self.api, *workers, *broker

    @property
    def url(self) -> str | None:
        """Where the API was told to answer, if one was ever started."""
        try:
            noted: Mapping[str, Any] = json.loads((self.run / "instance.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        url = noted.get("url")
        return url if isinstance(url, str) else None

    def note(self, url: str) -> None:
        """Remember where the API answers."""
        (self.run / "instance.json").write_text(json.dumps({"url": url}) + "\n", "utf-8")

    def forget(self) -> None:
        """Nothing runs any more."""
        (self.run / "instance.json").unlink(missing_ok=True)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    from ipaddress import ip_address

    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def reachable_url(host: str, port: int) -> str:
    """Where this machine reaches a listener on ``host``: one that listens everywhere is asked at home."""
    if host in ("", "0.0.0.0"):  # noqa: S104 - compared, not listened on
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def ask(url: str, path: str) -> tuple[int, str] | None:
    """The status and text that ``path`` of the API answers, or None if nobody answers."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=_PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
