"""A receiver on loopback that takes what is posted, and answers when it is told to."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from tests.support.collector import Post

__all__ = ["Reluctant", "reluctant"]

_LONGEST_SECONDS = 60.0


@dataclass(slots=True)
class Reluctant:
    """What has arrived at ``port``."""

    port: int
    go: Event = field(default_factory=Event)
    """Set to have everything answered that has come, and comes."""
    location: str | None = None
    """Where to send whoever posts, if anywhere."""
    posts: list[Post] = field(default_factory=list)

    def url(self, path: str = "/") -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def reluctant(port: int = 0) -> Iterator[Reluctant]:
    """A receiver, at a ``port`` of the caller's choice perhaps, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.posts.append(Post(self.path, headers, body))
            receiver.go.wait(_LONGEST_SECONDS)
            # Whoever asked may be gone by now.
            with suppress(OSError):
                self.send_response(200 if receiver.location is None else 302)
                if receiver.location is not None:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        receiver = Reluctant(server.server_port)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.go.set()
            server.shutdown()
            thread.join()
