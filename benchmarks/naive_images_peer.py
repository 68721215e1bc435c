"""The peer of the benchmark of engines with images: an image a task, all of it in the message. Imported by its worker too.

Its model runs as the library does by itself, with a thread for each core in each process, or, where
``BENCHMARK_NAIVE_TUNED`` is set, on one thread, as ours does.
"""

import base64
import io
import os
from pathlib import Path
from typing import Any

from celery import Celery
from PIL import Image

from benchmarks.bare_images import embedder
from gristmill.embed.images import efficientnet

__all__ = ["app", "embed"]

_URL = os.environ["BENCHMARK_NAIVE_BROKER"]


def _by_itself(model: Path | bytes) -> Any:
    import onnxruntime

    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])


if not os.environ.get("BENCHMARK_NAIVE_TUNED"):
    setattr(efficientnet, "open_session", _by_itself)  # noqa: B010 - it is not the module's own

app = Celery("naive", broker=_URL, backend=_URL)
app.conf.update(broker_connection_retry_on_startup=True)


@app.task  # type: ignore[untyped-decorator]  # Published without types.
def embed(encoded: str) -> list[float]:
    """The vector of an image."""
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    vector: list[float] = embedder().embed_images([image])[0].tolist()
    return vector
