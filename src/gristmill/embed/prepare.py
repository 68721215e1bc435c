"""What every embedder does to texts before and to vectors after the model: one place for the models' known traps."""

import re

from gristmill.embed.ports import Vectors
from gristmill.errors import StepFailed

__all__ = ["prepared", "unit"]

# One model stops reading at NUL, others raise on lone surrogates.
_UNREADABLE = re.compile("[\x00\ud800-\udfff]+")
_BLANK = "."
"""Embedded in place of a blank text: some models answer an empty string with NaN."""


def prepared(text: str, max_chars: int) -> str:
    """``text`` as a model may see it: never empty, at most ``max_chars`` long, without what models choke on."""
    readable = _UNREADABLE.sub(" ", text[: max_chars * 2]).strip()
    return readable[:max_chars].rstrip() or _BLANK


def unit(vectors: Vectors, model_id: str) -> Vectors:
    """``vectors`` scaled to length 1; a vector without direction is the model's fault and a :class:`StepFailed`."""
    import numpy as np

    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise StepFailed("embedding_without_direction", model=model_id)
    return np.asarray(rows / lengths, dtype=np.float32)
