"""Clients that follow tasks, as people write theirs: they remember how far they were told."""

import json
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

__all__ = ["Frame", "Watching", "frames_in", "refusal", "seqs_of", "watching"]

Frame: TypeAlias = dict[str, Any]

_SMALL_BYTES = 4096
_AT_ONCE = struct.pack("ii", 1, 0)


def seqs_of(frames: Sequence[Frame]) -> list[int]:
    """The numbers of the events that ``frames`` tell of, in the order they came."""
    return [event["seq"] for frame in frames if frame["type"] == "update" for event in frame["events"]]


def frames_in(lines: Iterable[str]) -> Iterator[Frame]:
    """The messages of an event stream, which say in every way what they are and where to resume."""
    said: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            said[name] = value
            continue
        frame: Frame = json.loads(said["data"])
        assert (said["event"], said["id"]) == (frame["type"], frame["cursor"])
        yield frame
        said = {}
    assert not said


class Watching:
    """One WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.cursor: str | None = None
        """Where to resume."""
        self.frames: list[Frame] = []
        """All that came."""

    def frame(self, seconds: float = 10.0) -> Frame:
        """The next message; TimeoutError if none comes in time."""
        frame: Frame = json.loads(self._connection.recv(timeout=seconds))
        self.cursor = frame["cursor"]
        self.frames.append(frame)
        return frame

    def until(self, kind: str, seconds: float = 20.0) -> Frame:
        """The next message of a ``kind``, after all before it."""
        while (frame := self.frame(seconds))["type"] != kind:
            pass
        return frame

    def told(self, count: int) -> list[int]:
        """The numbers of the events it was told of, once there are so many."""
        while len(found := seqs_of(self.frames)) < count:
            self.frame()
        return found

    def rest(self) -> tuple[list[Frame], int]:
        """What comes until the server closes, and the code it closes with."""
        before = len(self.frames)
        try:
            while True:
                self.frame()
        except ConnectionClosed as closed:
            return self.frames[before:], 1006 if closed.rcvd is None else closed.rcvd.code

    def drop(self) -> None:
        """Cut the connection: nobody says anything, and what is under way is lost."""
        self._connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._connection.close_socket()


@contextmanager
def watching(
    url: str,
    path: str = "/ws/tasks",
    *,
    headers: Mapping[str, str] | None = None,
    origin: str | None = None,
    host: str | None = None,
    reads: bool = True,
    **query: Any,
) -> Iterator[Watching]:
    """Follow what is at ``path`` of the API at ``url``, with all fields of ``query`` that are not None.

    It says that the API is called ``host``. With ``reads`` false, it takes nothing from its connection unless asked to.
    """
    here = urlsplit(url)
    given = {name: value for name, value in query.items() if value is not None}
    address = f"ws://{host or here.netloc}{path}?{urlencode(given, doseq=True)}".rstrip("?")
    with socket.socket() as plain:
        if not reads:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BYTES)
        plain.connect((here.hostname, here.port))
        with connect(
            address,
            sock=plain,
            origin=None if origin is None else Origin(origin),
            additional_headers=headers,
            compression=None,
            proxy=None,
            max_size=None,
            max_queue=16 if reads else 1,
            close_timeout=2,
        ) as connection:
            yield Watching(connection)


def refusal(url: str, path: str = "/ws/tasks", **options: Any) -> tuple[int, dict[str, Any]]:
    """The status and the problem that a handshake is answered with."""
    try:
        with watching(url, path, **options):
            pass
    except InvalidStatus as refused:
        response = refused.response
        assert response.headers["Content-Type"] == "application/problem+json"
        problem: dict[str, Any] = json.loads(response.body)
        assert problem["status"] == response.status_code
        return response.status_code, problem
    raise AssertionError(f"{path} was opened with {options}")
