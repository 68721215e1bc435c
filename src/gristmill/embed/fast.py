"""The fast embedder: WordLlama's table of word vectors, best for bulk English, 256 dimensions."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from gristmill.embed.local import Model
from gristmill.embed.ports import EmbedderInfo, Vectors

__all__ = ["DIMENSION", "INFO", "load"]

DIMENSION = 256
INFO = EmbedderInfo(
    name="fast", model_id="wordllama-l2-supercat-256", dimension=DIMENSION, max_chars=20_000, extra="fast"
)


def load(_cache: Path | None = None) -> Model:
    """Load the table from inside the package (half a second, 80 MB); nothing is downloaded."""
    import numpy as np

    # Its tokenizer otherwise starts a thread per core, which the worker's siblings already use.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with _untouched_root_logger():
        import wordllama

        # The package looks for its tokenizer in a folder it does not ship, unless told that its cache is itself.
        model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    table: Vectors = model.embedding
    tokenizer = model.tokenizer
    tokenizer.no_padding()

    def encode(texts: Sequence[str]) -> Vectors:
        # The package's own pooling pads every text to the longest of its batch; summing runs of one flat list does
        # not, and gives the same mean.
        encoded = [one.ids for one in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        lengths = np.array([len(ids) for ids in encoded])
        flat = np.fromiter(chain.from_iterable(encoded), dtype=np.int64, count=int(lengths.sum()))
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        sums = np.add.reduceat(table[np.minimum(flat, len(table) - 1)], starts, axis=0)
        return np.asarray(sums / lengths[:, None], dtype=np.float32)

    return Model(documents=encode, queries=encode)


@contextmanager
def _untouched_root_logger() -> Iterator[None]:
    """WordLlama configures the root logger on import; the process's logging is not its business."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
