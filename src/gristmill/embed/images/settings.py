"""What an image embedder needs to be told; the only values that are not fixed by the model itself."""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ImageEmbedSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEmbedSettings:
    """Which model ``image-onnx`` runs, and which service ``image-http`` asks; the others look at ``cache`` alone."""

    onnx_model: Path | None = None
    """Images in, one vector each out."""
    onnx_text_model: Path | None = None
    """The text encoder that was trained with it."""
    onnx_tokenizer: Path | None = None
    """The ``tokenizer.json`` of the text encoder."""
    onnx_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    """Subtracted from red, green and blue, of 0 to 1."""
    onnx_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    """What red, green and blue are then divided by."""
    http_base_url: str | None = None
    """Up to and including the version, such as ``http://localhost:8080/v1``."""
    http_api_key: str | None = field(default=None, repr=False)
    http_model: str | None = None
    http_dimension: int | None = None
    """Length of its vectors, if known; otherwise the service is asked once."""
    http_timeout_seconds: float = 60.0
    """For one call."""
    http_batch_size: int = 16
    """Images in one call."""
    cache: Path | None = None
    """Folder for what may be made again from an installed model."""
