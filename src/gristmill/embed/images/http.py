"""Embeddings of images and texts from a service that takes both at ``/embeddings``, in the form that Jina gave it."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from gristmill.embed.images.settings import ImageEmbedSettings
from gristmill.embed.ports import Vectors
from gristmill.embed.prepare import prepared
from gristmill.embed.service import EmbeddingService
from gristmill.errors import InvalidInput

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SIDE", "HttpImageEmbedder"]

SIDE = 512
"""Pixels of the longer side of what is sent: as much as the largest of these models look at."""
_QUALITY = 90
_MAX_CHARS = 8000


class HttpImageEmbedder:
    """An :class:`~gristmill.embed.images.ports.ImageEmbedder` behind an address."""

    name = "image-http"
    side = SIDE
    reads_text = True

    def __init__(self, settings: ImageEmbedSettings) -> None:
        for field in ("http_base_url", "http_model"):
            if not getattr(settings, field):
                raise InvalidInput("image_embedder_setting_missing", field=f"images.{field}", embedder=self.name)
        self._batch_size = settings.http_batch_size
        self._service = EmbeddingService(
            settings.http_base_url or "",
            "images.http_base_url",
            model=settings.http_model or "",
            api_key=settings.http_api_key,
            dimension=settings.http_dimension,
            timeout=settings.http_timeout_seconds,
        )

    @property
    def model_id(self) -> str:
        """The model the service is asked for."""
        return self._service.model

    @property
    def dimension(self) -> int:
        """Length of every vector; asks the service the first time, unless configured."""
        return self._service.dimension({"text": "dimension"})

    def embed_images(self, images: "Sequence[Image]") -> Vectors:
        """One unit row for each image, ``http_batch_size`` images per call."""
        import numpy as np

        size = self._batch_size
        batches = [
            self._service.embed([{"image": _address(image)} for image in images[start : start + size]])
            for start in range(0, len(images), size)
        ]
        return np.concatenate(batches) if batches else np.empty((0, self.dimension), dtype=np.float32)

    def embed_text(self, text: str) -> Vectors:
        """The unit vector of a text."""
        row: Vectors = self._service.embed([{"text": prepared(text, _MAX_CHARS)}])[0]
        return row

    def close(self) -> None:
        """Close the connections."""
        self._service.close()


def _address(image: "Image") -> str:
    """``image`` as a JPEG file inside an address."""
    from PIL.Image import Resampling

    small = image.copy()
    small.thumbnail((SIDE, SIDE), Resampling.BICUBIC)
    file = BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + b64encode(file.getvalue()).decode("ascii")
