"""An image model inside this process: loaded with its first image, and its text encoder with the first text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from gristmill.embed.images.ports import ImageEmbedderInfo
from gristmill.embed.ports import Vectors
from gristmill.embed.prepare import prepared, unit
from gristmill.errors import InvalidInput

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["EncodeImages", "EncodeText", "ImageModel", "LocalImageEmbedder"]

EncodeImages = Callable[["Sequence[Image]"], Vectors]
"""Vectors of a batch of images, not yet of length 1."""
EncodeText = Callable[[str], Vectors]
"""The vector of a prepared text, as the only row and not yet of length 1."""

_MAX_CHARS = 2000
"""Of a text; models of this kind look at some 70 words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageModel:
    """A loaded model."""

    side: int
    """Width and height of what it sees, in pixels."""
    dimension: int
    together: int
    """Images that it is given at a time."""
    images: EncodeImages


class LocalImageEmbedder:
    """An :class:`~gristmill.embed.images.ports.ImageEmbedder` around the models that the loaders return.

    Each loader runs once, when its model is first needed, so that naming a model costs nothing and a process that
    embeds images alone holds no text encoder. The models may be used by several threads at a time.
    """

    def __init__(
        self,
        info: ImageEmbedderInfo,
        load: Callable[[], ImageModel],
        load_text: Callable[[], EncodeText] | None = None,
    ) -> None:
        self._info = info
        self._load = load
        self._load_text = load_text
        self._model: ImageModel | None = None
        self._text: EncodeText | None = None
        self._lock = Lock()

    @property
    def name(self) -> str:
        """What settings call it."""
        return self._info.name

    @property
    def model_id(self) -> str:
        """The exact model."""
        return self._info.model_id

    @property
    def dimension(self) -> int:
        """Length of every vector; loads a model that is not known beforehand."""
        return self._info.dimension or self._loaded().dimension

    @property
    def side(self) -> int:
        """Width and height of what the model sees, in pixels; loads it."""
        return self._loaded().side

    @property
    def reads_text(self) -> bool:
        """Whether there is a text encoder."""
        return self._load_text is not None

    def embed_images(self, images: "Sequence[Image]") -> Vectors:
        """One unit row for each image."""
        import numpy as np

        model = self._loaded()
        rows = np.empty((len(images), model.dimension), dtype=np.float32)
        for start in range(0, len(images), model.together):
            end = start + model.together
            rows[start:end] = unit(model.images(images[start:end]), self.model_id)
        return rows

    def embed_text(self, text: str) -> Vectors:
        """The unit vector of a text."""
        if self._load_text is None:
            raise InvalidInput("embedder_reads_no_text", field="text", embedder=self.name)
        with self._lock:
            if self._text is None:
                self._text = self._load_text()
            encode = self._text
        row: Vectors = unit(encode(prepared(text, _MAX_CHARS)), self.model_id)[0]
        if len(row) != self.dimension:
            raise InvalidInput(
                "image_text_model_differs", field="images.onnx_text_model", expected=self.dimension, got=len(row)
            )
        return row

    def close(self) -> None:
        """Forget the models."""
        with self._lock:
            self._model = self._text = None

    def _loaded(self) -> ImageModel:
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model
