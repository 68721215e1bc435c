"""Connections to addresses that were checked, and to no others.

A name is resolved once; every answer must be public; the connection goes to the very address that was checked, so
a name that changes its mind gains nothing. Every wait ends at one deadline for the whole fetch.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from gristmill.errors import Forbidden, LimitExceeded, Unavailable
from gristmill.steps.addresses import is_exempt, is_public

__all__ = ["Deadline", "GuardedNetwork", "Resolve", "resolve"]

Resolve = Callable[[str, int], Sequence[str]]
"""From a host name and a port to its addresses."""


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of ``host`` by the system's resolver."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class Deadline:
    """The moment at which a whole fetch is over."""

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self.seconds = seconds
        self._now = now
        self._end = now() + seconds

    def left(self, at_most: float | None = None) -> float:
        """Seconds that remain, no more than ``at_most``; raises ``LimitExceeded`` when none do."""
        left = self._end - self._now()
        if left <= 0:
            raise LimitExceeded("source_too_slow", seconds=self.seconds)
        return left if at_most is None else min(left, at_most)


class GuardedNetwork(httpcore.NetworkBackend):
    """A network of public hosts, and of those the operator allowed by name."""

    def __init__(self, deadline: Deadline, *, allow_private: bool, allowed_hosts: Sequence[str], ask: Resolve) -> None:
        self._deadline = deadline
        self._allow_private = allow_private
        self._allowed_hosts = tuple(allowed_hosts)
        self._ask = ask
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address of ``host`` that answers, if all of them may be connected to."""
        addresses = self._addresses(host, port)
        if not self._allow_private and not is_exempt(host, port, self._allowed_hosts):
            for address in addresses:
                if not is_public(address):
                    raise Forbidden("address_not_public", host=host)
        failure: Exception | None = None
        for address in addresses:
            try:
                stream = self._inner.connect_tcp(
                    address,
                    port,
                    timeout=self._deadline.left(timeout),
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure or httpcore.ConnectError(f"no address for {host}")

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        # The system's resolver knows no timeout; a thread that is still asking is left behind.
        answers: list[Sequence[str]] = []
        failures: list[OSError | UnicodeError] = []

        def ask() -> None:
            try:
                answers.append(self._ask(host, port))
            except (OSError, UnicodeError) as error:
                failures.append(error)

        thread = threading.Thread(target=ask, name="resolve", daemon=True)
        thread.start()
        thread.join(self._deadline.left())
        self._deadline.left()
        if not answers or not answers[0]:
            raise Unavailable("host_not_found", host=host) from (failures[0] if failures else None)
        return answers[0]


class _TimedStream(httpcore.NetworkStream):
    """A connection none of whose waits outlasts the deadline, however slowly bytes drip in."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
