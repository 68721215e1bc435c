"""Embeddings from any service that speaks OpenAI's ``/embeddings``."""

from collections.abc import Sequence

from gristmill.embed.ports import Vectors
from gristmill.embed.prepare import prepared
from gristmill.embed.service import EmbeddingService
from gristmill.embed.settings import EmbedSettings
from gristmill.errors import InvalidInput

__all__ = ["HttpEmbedder"]


class HttpEmbedder:
    """An :class:`~gristmill.embed.ports.Embedder` behind an address."""

    name = "http"

    def __init__(self, settings: EmbedSettings) -> None:
        for field in ("base_url", "model"):
            if not getattr(settings, field):
                raise InvalidInput("embedder_setting_missing", field=field)
        self._batch_size = settings.batch_size
        self._max_chars = settings.max_chars
        self._service = EmbeddingService(
            settings.base_url or "",
            "base_url",
            model=settings.model or "",
            api_key=settings.api_key,
            dimension=settings.dimension,
            timeout=settings.timeout_seconds,
        )

    @property
    def model_id(self) -> str:
        """The model the service is asked for."""
        return self._service.model

    @property
    def max_chars(self) -> int:
        """Characters of a text that are sent."""
        return self._max_chars

    @property
    def dimension(self) -> int:
        """Length of every vector; asks the service the first time, unless configured."""
        return self._service.dimension("dimension")

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text, ``batch_size`` texts per call."""
        import numpy as np

        size = self._batch_size
        readable = [prepared(text, self.max_chars) for text in texts]
        batches = [self._service.embed(readable[start : start + size]) for start in range(0, len(readable), size)]
        return np.concatenate(batches) if batches else np.empty((0, self.dimension), dtype=np.float32)

    def embed_query(self, text: str) -> Vectors:
        """The unit vector of a query."""
        row: Vectors = self._service.embed([prepared(text, self.max_chars)])[0]
        return row

    def close(self) -> None:
        """Close the connections."""
        self._service.close()
