"""The contract of every image embedder, and what is known of one before it is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gristmill.embed.ports import Vectors

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageEmbedder", "ImageEmbedderInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEmbedderInfo:
    """What a collection stores of its embedder: vectors of another model or dimension cannot be compared."""

    name: str
    """What settings call it."""
    model_id: str
    dimension: int | None
    """Length of a vector; None if only the model or the service behind it can tell."""
    reads_text: bool
    """Whether images can be found by words."""
    extra: str | None = None
    """Optional dependency that has to be installed for it."""


class ImageEmbedder(Protocol):
    """Images to unit vectors, and texts to vectors among those if the model was trained on both.

    Images are RGB, of any size. The same image gives the same vector, up to rounding, whatever stands beside it in
    the batch. All methods may be called from several threads.

    Errors: :class:`~gristmill.errors.InvalidInput` if a configured model cannot be used, with the setting as
    ``field``; :class:`~gristmill.errors.Unavailable` if a service does not answer for now, with
    ``retry_after_seconds`` among its facts when the service said so; :class:`~gristmill.errors.StepFailed` if it
    refuses, or if a model or a service gives nonsense.
    """

    @property
    def name(self) -> str:
        """What settings call it, such as ``efficientnet``."""

    @property
    def model_id(self) -> str:
        """The exact model, stored with every collection."""

    @property
    def dimension(self) -> int:
        """Length of every vector; a model may have to be loaded for it, or a service asked once."""

    @property
    def side(self) -> int:
        """Pixels: width and height of what the model sees.

        An image may be scaled down before it is handed over: as long as its shorter side keeps twice as many pixels,
        its vector stays as good as the same. A model may have to be loaded for it.
        """

    @property
    def reads_text(self) -> bool:
        """Whether :meth:`embed_text` works."""

    def embed_images(self, images: "Sequence[Image]") -> Vectors:
        """One row of length 1 for each of ``images``, in their order: float32, shape ``(len(images), dimension)``."""

    def embed_text(self, text: str) -> Vectors:
        """The vector to compare with those of images: float32, shape ``(dimension,)``, length 1.

        Any string is accepted, and a long one counts with its beginning. :class:`~gristmill.errors.InvalidInput`
        (``embedder_reads_no_text``) from a model that knows images alone.
        """

    def close(self) -> None:
        """Let go of connections and models; may be repeated. Nothing else is called afterwards."""
