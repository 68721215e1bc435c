"""The contract of every embedder, and what is known of one before it is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder", "EmbedderInfo", "Vectors"]

Vectors: TypeAlias = "NDArray[np.float32]"
"""Spelled as text: describing an embedder must not cost a process the memory of numpy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderInfo:
    """What a collection stores of its embedder: vectors of another model or dimension cannot be compared."""

    name: str
    """What settings call it."""
    model_id: str
    dimension: int | None
    """Length of a vector; None if only the service behind it can tell."""
    max_chars: int
    """Characters of a text that are looked at; the rest is ignored."""
    extra: str | None = None
    """Optional dependency that has to be installed for it."""


class Embedder(Protocol):
    """Text to unit vectors.

    Any string is accepted: NUL and lone surrogates are ignored, a blank text has a vector of its own, and a text
    beyond ``max_chars`` counts with its beginning. The same text gives the same vector, up to rounding, whatever
    stands beside it in the batch. All methods may be called from several threads.

    Errors: :class:`~gristmill.errors.Unavailable` if a service does not answer for now, with
    ``retry_after_seconds`` among its facts when the service said so; :class:`~gristmill.errors.StepFailed` if it
    refuses or answers nonsense. Models inside the process raise neither.
    """

    @property
    def name(self) -> str:
        """What settings call it, such as ``multilingual``."""

    @property
    def model_id(self) -> str:
        """The exact model, stored with every collection."""

    @property
    def dimension(self) -> int:
        """Length of every vector; a remote service may have to be asked once."""

    @property
    def max_chars(self) -> int:
        """Characters of a text that are looked at."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 for each of ``texts``, in their order: float32, shape ``(len(texts), dimension)``."""

    def embed_query(self, text: str) -> Vectors:
        """The vector to compare with those of documents: float32, shape ``(dimension,)``, length 1."""

    def close(self) -> None:
        """Let go of connections and models; may be repeated. Nothing else is called afterwards."""
