"""Opens each embedder once per process, when it is first needed, and turns queries into vectors with it."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.errors import InvalidInput
from gristmill.index.model import CollectionSettings, Space
from gristmill.settings.model import EmbeddingSettings, ImageSettings, IndexSettings

if TYPE_CHECKING:
    from gristmill.embed.images.ports import ImageEmbedder
    from gristmill.embed.images.settings import ImageEmbedSettings
    from gristmill.embed.ports import Embedder
    from gristmill.embed.settings import EmbedSettings

__all__ = ["Embedders"]


class Embedders:
    """The embedders of this process, by name."""

    def __init__(self, settings: EmbeddingSettings, images: ImageSettings, *, cache: Path) -> None:
        self._settings = settings
        self._images = images
        self._cache = cache
        self._open: dict[str, Embedder] = {}
        self._open_images: dict[str, ImageEmbedder] = {}
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

    def _image_settings(self) -> "ImageEmbedSettings":
        from gristmill.embed.images.settings import ImageEmbedSettings

        settings = self._images
        key = settings.http_api_key
        return ImageEmbedSettings(
            onnx_model=settings.onnx_model,
            onnx_text_model=settings.onnx_text_model,
            onnx_tokenizer=settings.onnx_tokenizer,
            onnx_mean=settings.onnx_mean,
            onnx_std=settings.onnx_std,
            http_base_url=settings.http_base_url,
            http_api_key=None if key is None else key.get_secret_value(),
            http_model=settings.http_model,
            http_dimension=settings.http_dimension,
            http_timeout_seconds=settings.http_timeout_seconds,
            http_batch_size=settings.http_batch_size,
            cache=self._cache,
        )

    def images(self, name: str) -> "ImageEmbedder":
        """The image embedder called ``name``; :class:`InvalidInput` as of :meth:`get`."""
        with self._lock:
            if name not in self._open_images:
                from gristmill.embed.images.registry import open_image_embedder

                self._open_images[name] = open_image_embedder(name, self._image_settings())
            return self._open_images[name]

    @staticmethod
    def is_of_images(space: Space) -> bool:
        """Whether the vectors of ``space`` are those of images."""
        from gristmill.embed.images.registry import IMAGE_EMBEDDERS

        return space.embedder in IMAGE_EMBEDDERS

    def reads_text(self, space: Space) -> bool:
        """Whether what is in ``space`` can be found by a text's meaning."""
        from gristmill.embed.images.registry import describe

        if not self.is_of_images(space):
            return True
        return describe(space.embedder, self._image_settings()).reads_text

    def collection_settings(self, index: IndexSettings, *, embedder: str | None = None) -> CollectionSettings:
        """How a new collection is to be indexed, with the configured or the named embedder."""
        name = embedder or self._settings.name
        model_id, dimension = self._described(name)
        return CollectionSettings(
            embedder=name,
            model_id=model_id,
            dimension=dimension,
            chunk_size=index.chunk_size,
            chunk_overlap=index.chunk_overlap,
        )

    def _described(self, name: str) -> tuple[str, int]:
        """The model behind a name, and the length of its vectors, for which it may have to be asked."""
        from gristmill.embed.images import registry as images
        from gristmill.embed.registry import EMBEDDERS, describe

        if name in images.IMAGE_EMBEDDERS:
            image_info = images.describe(name, self._image_settings())
            return image_info.model_id, image_info.dimension or self.images(name).dimension
        if name not in EMBEDDERS:
            known = ", ".join((*EMBEDDERS, *images.IMAGE_EMBEDDERS))
            raise InvalidInput("embedder_unknown", field="embedder", value=name, known=known)
        info = describe(name, self._call_settings())
        return info.model_id, info.dimension if info.dimension is not None else self.get(name).dimension

    def embed_query(self, space: Space, text: str) -> Any:
        """The vector of ``text`` in ``space``."""
        return self.get(space.embedder).embed_query(text)

    def close(self) -> None:
        """Let go of all models and connections."""
        with self._lock:
            for embedder in self._open.values():
                embedder.close()
            for images in self._open_images.values():
                images.close()
            self._open.clear()
            self._open_images.clear()
