"""What an embedder needs to be told; the only values that are not fixed by the model itself."""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["EmbedSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedSettings:
    """Where the embeddings service is and what to ask it for; models inside the process look at ``cache`` alone."""

    base_url: str | None = None
    """Up to and including the version, such as ``http://localhost:8080/v1``."""
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    dimension: int | None = None
    """Length of its vectors, if known; otherwise the service is asked once."""
    timeout_seconds: float = 60.0
    """For one call."""
    batch_size: int = 64
    """Texts in one call."""
    cache: Path | None = None
    """Folder for what may be made again from an installed model."""
    max_chars: int = 8000
    """Longer texts are cut: most services refuse a text beyond about 8000 tokens, and Chinese has one per character."""
