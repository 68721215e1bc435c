"""The process behind :mod:`gristmill.app.query_images`: decodes and embeds one image after another.

Whoever started it watches the clock, and may kill it at any moment.
"""

import json
import resource
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gristmill.app.embedders import Embedders
from gristmill.clock import SystemClock
from gristmill.db.blobs import FileBlobStore
from gristmill.embed.images.ports import ImageEmbedder
from gristmill.embed.ports import Vectors
from gristmill.errors import GristmillError, StepFailed
from gristmill.ids import content_hash
from gristmill.index.model import Document, DocumentState, Material, Origin
from gristmill.pipelines.fetching import Fetcher
from gristmill.settings import DataPaths, Settings
from gristmill.steps.image.decode import decode
from gristmill.steps.image.regions import Region
from gristmill.steps.image.thumbnail import seen, shrunk
from gristmill.steps.model import Fetched

__all__ = ["main"]


class _Reader:
    """Answers requests with the numbers of vectors."""

    def __init__(self, settings: Settings, temp: Path) -> None:
        paths = DataPaths(settings.data)
        self._settings = settings
        self._temp = temp
        self._embedders = Embedders(settings.embedding, settings.images, cache=paths.cache)
        self._fetcher = Fetcher(FileBlobStore(paths.blobs, clock=SystemClock()), settings.sources)

    def vector(self, request: dict[str, Any], data: bytes) -> Vectors:
        """The vector that ``request`` asks for."""
        embedder = self._embedders.images(request["embedder"])
        if embedder.model_id != request["model_id"]:
            raise StepFailed("image_model_differs", expected=request["model_id"], actual=embedder.model_id)
        match request["what"]:
            case "text":
                return embedder.embed_text(request["text"])
            case "image":
                fetched = Fetched(data=data, name=request["name"], size=len(data), content_hash=content_hash(data))
                return self._of_image(embedder, fetched, request)
            case _:
                fetched = self._fetcher.document(_document(request), into=lambda: self._temp)
                try:
                    return self._of_image(embedder, fetched, request)
                finally:
                    if fetched.path is not None and fetched.path.is_relative_to(self._temp):
                        fetched.path.unlink()

    def _of_image(self, embedder: ImageEmbedder, fetched: Fetched, request: dict[str, Any]) -> Vectors:
        region = Region(**request["region"]) if request["region"] else None
        # As it was looked at when it was indexed: the same bytes give the same vector.
        longest, most = self._settings.images.thumbnail_pixels, self._settings.images.max_pixels
        picture = decode(fetched, max_pixels=most, side=max(embedder.side, longest), region=region)
        shown = seen(picture.image, shrunk(picture.image, longest), embedder.side)
        row: Vectors = embedder.embed_images([shown])[0]
        return row


def _document(request: dict[str, Any]) -> Document:
    return Document(
        id=request["id"],
        collection="",
        source=request["source"],
        origin=Origin(request["origin"]),
        name=request["name"],
        material=Material.IMAGE,
        state=DocumentState.INDEXED,
        created_at=0,
        updated_at=0,
        root=request["root"],
        blob_id=request["blob_id"],
    )


def main() -> None:
    """Answer until the other end is closed."""
    line = Connection(int(sys.argv[1]))
    # Whoever pressed Ctrl-C meant the program that started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError), TemporaryDirectory() as temp:
        settings = Settings.model_validate(json.loads(line.recv_bytes()))
        most = settings.workers.memory_limit_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        reader = _Reader(settings, Path(temp))
        while True:
            request = json.loads(line.recv_bytes())
            data = line.recv_bytes()
            try:
                numbers = reader.vector(request, data).astype("<f4").tobytes()
                answer: dict[str, Any] = {}
            except GristmillError as error:
                numbers = b""
                answer = {"error": {"type": type(error).__name__, "code": error.code, "facts": dict(error.facts)}}
            line.send_bytes(json.dumps(answer).encode())
            line.send_bytes(numbers)


if __name__ == "__main__":
    main()
