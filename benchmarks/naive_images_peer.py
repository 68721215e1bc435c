"""The peer of the benchmark of engines with images: an image a task, all of it in the message. Imported by its worker too."""

import base64
import io
import os

from celery import Celery
from PIL import Image

from benchmarks.bare_images import embedder

__all__ = ["app", "embed"]

_URL = os.environ["BENCHMARK_NAIVE_BROKER"]

app = Celery("naive", broker=_URL, backend=_URL)
app.conf.update(broker_connection_retry_on_startup=True)


@app.task  # type: ignore[untyped-decorator]  # Published without types.
def embed(encoded: str) -> list[float]:
    """The vector of an image."""
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    vector: list[float] = embedder().embed_images([image])[0].tolist()
    return vector
