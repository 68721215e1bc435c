"""Turns the image of a query into a vector, in a process of its own: what a stranger sent may kill or hang its reader.

The process is started with the first image, and again whenever it died. What passes between is frames of bytes: JSON
both ways, then the image, or the numbers of the vector.
"""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from gristmill.errors import StepFailed, Unavailable, error_from
from gristmill.index.model import Document, Space
from gristmill.settings import Settings, dump_settings
from gristmill.steps.image.regions import Region

__all__ = ["QueryImages"]

_COMMAND = (sys.executable, "-m", "gristmill.worker.query_images")
"""Starts the process when the number of its socket is added."""
_SECONDS = 30.0
"""For one image, loading the model included."""


class _Died(Exception):
    """The process ended before it answered."""


class QueryImages:
    """The process, and the way to it; one query at a time."""

    def __init__(self, settings: Settings, *, timeout_seconds: float = _SECONDS) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None

    def image(self, space: Space, data: bytes, *, name: str, region: Region | None = None) -> Any:
        """The vector in ``space`` of an image, or of a region of it: float32, shape ``(dimension,)``.

        :class:`StepFailed` if it cannot be decoded, or if two readers died of it; :class:`Unavailable`
        (``image_query_too_slow``) if it took too long.
        """
        return self._ask(_request("image", space, name=name, region=_as_json(region)), data)

    def document(self, space: Space, document: Document, *, region: Region | None = None) -> Any:
        """The same of a registered image, whose bytes are read again."""
        where = {key: getattr(document, key) for key in ("id", "source", "name", "root", "blob_id")}
        return self._ask(_request("document", space, **where, origin=document.origin.value, region=_as_json(region)))

    def text(self, space: Space, text: str) -> Any:
        """The vector of a text; :class:`InvalidInput` (``embedder_reads_no_text``) if the model knows images alone."""
        return self._ask(_request("text", space, text=text))

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ask(self, request: Mapping[str, Any], data: bytes = b"") -> Any:
        if not self._lock.acquire(timeout=self._timeout_seconds):
            raise Unavailable("image_query_too_slow", seconds=self._timeout_seconds)
        try:
            try:
                answer, numbers = self._answer(request, data)
            except _Died:
                # Of something else, perhaps, and before it was asked.
                answer, numbers = self._answer(request, data)
        except _Died as error:
            raise StepFailed("image_query_died", name=str(request.get("name", "image"))) from error
        finally:
            self._lock.release()
        if "error" in answer:
            told = answer["error"]
            raise error_from(told["type"], told["code"], told["facts"])
        import numpy as np

        return np.frombuffer(numbers, dtype="<f4")

    def _answer(self, request: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        try:
            line = self._started()
            line.send_bytes(json.dumps(request).encode())
            line.send_bytes(data)
            if not line.poll(self._timeout_seconds):
                self._end()
                raise Unavailable("image_query_too_slow", seconds=self._timeout_seconds)
            return json.loads(line.recv_bytes()), line.recv_bytes()
        except (EOFError, OSError) as error:
            self._end()
            raise _Died from error

    def _started(self) -> Connection:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._line is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [*_COMMAND, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    # What the terminal sends is for us to handle, not for it.
                    start_new_session=True,
                )
            self._line = Connection(ours.detach())
            self._line.send_bytes(json.dumps(dump_settings(self._settings)).encode())
        return self._line

    def _end(self) -> None:
        line, self._line = self._line, None
        process, self._process = self._process, None
        if line is not None:
            with suppress(OSError):
                line.close()
        if process is not None:
            process.kill()
            process.wait()


def _request(what: str, space: Space, **more: Any) -> dict[str, Any]:
    return {"what": what, "embedder": space.embedder, "model_id": space.model_id, **more}


def _as_json(region: Region | None) -> dict[str, int] | None:
    return None if region is None else asdict(region)
