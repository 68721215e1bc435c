"""txtai as a peer: ``python -m benchmarks.txtai_peer EMBEDDER SIZE OVERLAP LIST``.

Two processes parse, split and embed with Gristmill's own steps; txtai stores the texts in SQLite and the vectors in
its index and the words in its own for BM25, so that it answers the same modes of search, and saves all. Prints the seconds as JSON; imports do not count.
"""

import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peer_parse import embedder, warm

__all__ = ["main"]

_PROCESSES = 2


def steps(name: str, size: int, overlap: int, file: str) -> tuple[list[str], Any]:
    """The chunks of a file and their vectors."""
    from gristmill.errors import GristmillError
    from gristmill.pipelines.index_document import text_to_embed
    from gristmill.steps.model import Fetched
    from gristmill.steps.parse import ParseLimits, parse
    from gristmill.steps.split import split

    path = Path(file)
    fetched = Fetched(path=path, name=path.name, size=path.stat().st_size, content_hash="")
    try:
        pieces = split(parse(fetched, limits=ParseLimits()), chunk_size=size, chunk_overlap=overlap)
    except GristmillError:
        return [], None
    texts = [text_to_embed(path.name, piece.headings, piece.text) for piece in pieces]
    return texts, embedder(name).embed_documents(texts)


def main(name: str, size: str, overlap: str, listing: str) -> None:
    """Ingest the files that ``listing`` names."""
    from txtai.embeddings import Embeddings

    files = Path(listing).read_text("utf-8").splitlines()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
        list(pool.map(warm, [name] * _PROCESSES))
        waiting: list[Any] = []

        def rows() -> Iterator[tuple[str, dict[str, str], None]]:
            for file, (texts, vectors) in zip(
                files, pool.map(partial(steps, name, int(size), int(overlap)), files, chunksize=8), strict=True
            ):
                for number, text in enumerate(texts):
                    waiting.append(vectors[number])
                    yield f"{file}#{number}", {"text": text}, None

        def ready(texts: list[str]) -> Any:
            taken = waiting[: len(texts)]
            del waiting[: len(texts)]
            return np.stack(taken)

        index = Embeddings(method="external", transform=ready, content=True, hybrid=True, backend="numpy")
        start = time.perf_counter()
        index.index(rows())
        index.save(str(Path(folder) / "index"))
        seconds = time.perf_counter() - start
        count = index.count()
        index.close()
    print(json.dumps({"seconds": seconds, "chunks": count}))


if __name__ == "__main__":
    main(*sys.argv[1:])
