"""A model inside this process: loaded with its first text, used by one thread at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from gristmill.embed.ports import EmbedderInfo, Vectors
from gristmill.embed.prepare import prepared, unit

__all__ = ["Encode", "LocalEmbedder", "Model"]

Encode = Callable[[Sequence[str]], Vectors]
"""Vectors of prepared texts, not yet of length 1."""

_TURN = 32
"""Texts between two chances for another thread: a query does not wait for a whole document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A loaded model: some treat queries differently from documents."""

    documents: Encode
    queries: Encode


class LocalEmbedder:
    """An :class:`~gristmill.embed.ports.Embedder` around the model that ``load`` returns.

    ``load`` runs once, with the first text, so that naming a model costs nothing. The lock serialises use because
    the models keep scratch memory and thread limits per process.
    """

    def __init__(self, info: EmbedderInfo, dimension: int, load: Callable[[], Model]) -> None:
        self._info = info
        self._dimension = dimension
        self._load = load
        self._model: Model | None = None
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
        """Length of every vector."""
        return self._dimension

    @property
    def max_chars(self) -> int:
        """Characters of a text that are looked at."""
        return self._info.max_chars

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text."""
        import numpy as np

        rows = np.empty((len(texts), self._dimension), dtype=np.float32)
        for start in range(0, len(texts), _TURN):
            rows[start : start + _TURN] = self._embed(texts[start : start + _TURN], query=False)
        return rows

    def embed_query(self, text: str) -> Vectors:
        """The unit vector of a query."""
        row: Vectors = self._embed([text], query=True)[0]
        return row

    def close(self) -> None:
        """Forget the model."""
        with self._lock:
            self._model = None

    def _embed(self, texts: Sequence[str], *, query: bool) -> Vectors:
        readable = [prepared(text, self.max_chars) for text in texts]
        with self._lock:
            if self._model is None:
                self._model = self._load()
            encode = self._model.queries if query else self._model.documents
            vectors = encode(readable)
        return unit(vectors, self.model_id)
