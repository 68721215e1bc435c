"""A web server on loopback whose answers a test writes."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Answer", "Site", "page", "redirect", "serve"]

Answer = Callable[[BaseHTTPRequestHandler], None]
"""Writes the whole answer to one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running server: its address and the requests it saw."""

    port: int
    scheme: str = "http"
    seen: list[Mapping[str, str]] = field(default_factory=list)
    """Path and headers of every request, in order."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """The address of ``path`` on this server."""
        return f"{self.scheme}://{self.host}{path}"


@contextlib.contextmanager
def serve(pages: Mapping[str, Answer], *, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Serve ``pages`` by path until the block ends; other paths answer 404."""
    seen: list[Mapping[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
            self.close_connection = True
            answer = pages.get(self.path.partition("?")[0])
            if answer is None:
                self.send_error(404)
                return
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that leave early are part of the tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Site(port=server.server_address[1], scheme="https" if tls else "http", seen=seen)
        finally:
            server.shutdown()
            thread.join()


def page(body: bytes, *, status: int = 200, **headers: str) -> Answer:
    """An answer with ``body``; underscores in header names become dashes."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def redirect(location: str) -> Answer:
    """An answer that sends the client on to ``location``."""
    return page(b"", status=302, Location=location)
