"""Opens each embedder once per process, when it is first needed, and turns queries into vectors with it."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.index.model import CollectionSettings, Space
from gristmill.settings.model import EmbeddingSettings, IndexSettings

if TYPE_CHECKING:
    from gristmill.embed.ports import Embedder
    from gristmill.embed.settings import EmbedSettings

__all__ = ["Embedders"]


class Embedders:
    """The embedders of this process, by name."""

    def __init__(self, settings: EmbeddingSettings, *, cache: Path) -> None:
        self._settings = settings
        self._cache = cache
        self._open: dict[str, Embedder] = {}
        self._lock = threading.Lock()

    def _call_settings(self) -> "EmbedSettings":
        from gristmill.embed.settings import EmbedSettings

        key = self._settings.http_api_key
        return EmbedSettings(
            base_url=self._settings.http_base_url,
            api_key=None if key is None else key.get_secret_value(),
            model=self._settings.http_model,
            dimension=self._settings.http_dimension,
            timeout_seconds=self._settings.http_timeout_seconds,
            batch_size=self._settings.http_batch_size,
            cache=self._cache,
        )

    def get(self, name: str) -> "Embedder":
        """The embedder called ``name``; :class:`InvalidInput` if there is none or its extra is missing."""
        with self._lock:
            if name not in self._open:
                from gristmill.embed.registry import open_embedder

                self._open[name] = open_embedder(name, self._call_settings())
            return self._open[name]

    def collection_settings(self, index: IndexSettings, *, embedder: str | None = None) -> CollectionSettings:
        """How a new collection is to be indexed, with the configured or the named embedder."""
        from gristmill.embed.registry import describe

        name = embedder or self._settings.name
        info = describe(name, self._call_settings())
        return CollectionSettings(
            embedder=name,
            model_id=info.model_id,
            dimension=info.dimension if info.dimension is not None else self.get(name).dimension,
            chunk_size=index.chunk_size,
            chunk_overlap=index.chunk_overlap,
        )

    def embed_query(self, space: Space, text: str) -> Any:
        """The vector of ``text`` in ``space``."""
        return self.get(space.embedder).embed_query(text)

    def close(self) -> None:
        """Let go of all models and connections."""
        with self._lock:
            for embedder in self._open.values():
                embedder.close()
            self._open.clear()
