"""An embeddings service on the loopback: deterministic vectors, and every way to misbehave."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

__all__ = ["Answer", "Service", "running_service", "vector_of"]

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


def vector_of(text: str, dimension: int) -> list[float]:
    """A vector made of the words of ``text``, so that texts which share words are similar."""
    total = np.zeros(dimension)
    for word in text.lower().split():
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).standard_normal(dimension)
    return [float(value) for value in total * 3]


class Service:
    """What was asked, and what is answered next."""

    def __init__(self) -> None:
        self.url = ""
        self.dimension = 16
        self.vector: Callable[[Any, int], list[float]] = vector_of
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.misbehave: Callable[[], Answer] | None = None

    def answer(self, body: dict[str, Any], key: str | None) -> Answer:
        self.requests.append(body)
        self.keys.append(key)
        if self.misbehave is not None:
            return self.misbehave()
        data = [{"index": n, "embedding": self.vector(one, self.dimension)} for n, one in enumerate(body["input"])]
        # Out of order on purpose: the index counts, not the place.
        return 200, {}, json.dumps({"data": data[::-1], "model": body["model"]}).encode()


@contextmanager
def running_service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, content = service.answer(body, self.headers.get("Authorization"))
            if self.path != "/v1/embeddings":
                status, content = 404, b"{}"
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
