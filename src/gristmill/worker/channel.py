"""Messages between a supervisor and one slot: small JSON objects, one a line, over a socket pair."""

import json
import select
import socket
import threading
from typing import Any

__all__ = ["Channel"]

_READ_BYTES = 65536


class Channel:
    """One end of the conversation; sending is safe from several threads."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._buffer = b""
        self._sending = threading.Lock()
        self.closed = False
        """Whether the other end has gone."""

    def fileno(self) -> int:
        """The descriptor, for ``select``."""
        return self._socket.fileno()

    def send(self, **message: Any) -> None:
        """Send ``message``; silently nothing if the other end has gone, which its reader finds out anyway."""
        line = json.dumps(message).encode() + b"\n"
        with self._sending:
            try:
                self._socket.sendall(line)
            except (BrokenPipeError, ConnectionResetError, OSError):
                self.closed = True

    def has_message(self, *, timeout_seconds: float | None) -> bool:
        """Wait until there is something to receive, or the stream has ended; False when the time is up before."""
        return bool(select.select([self._socket], [], [], timeout_seconds)[0])

    def receive(self) -> list[dict[str, Any]]:
        """Wait until something comes; the messages that are complete. Sets :attr:`closed` at the end of the stream."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return []
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
