"""A Redis for one comparison, in a directory of its own, so that nobody's queues are touched."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.engines.redis import PROGRAMS, server_program
from gristmill.errors import Unavailable

__all__ = ["broker"]

_START_SECONDS = 10.0
_LOOK_SECONDS = 0.02


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Its URL; :class:`Unavailable` if no server is installed."""
    program = server_program()
    if program is None:
        raise Unavailable("redis_not_installed", programs=", ".join(PROGRAMS))
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    # Kept on disk as a careful operator would have it: once a second.
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--appendonly", "yes"]
    process = subprocess.Popen([program, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable("broker_unreachable", engine="bench", reason=type(error).__name__) from error
            time.sleep(_LOOK_SECONDS)
