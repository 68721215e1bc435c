"""LlamaIndex's ingestion pipeline as a peer: ``python -m benchmarks.llamaindex_peer EMBEDDER SIZE OVERLAP LIST``.

Two processes parse, then its pipeline splits and embeds in two processes of its own, adds to its vector store and its
document store, and both are persisted. Prints the seconds as JSON; imports do not count.
"""

import json
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from llama_index.core import Document, StorageContext
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore

from benchmarks.peer_parse import embedder, text_of

__all__ = ["main"]

_PROCESSES = 2


class Ours(BaseEmbedding):  # type: ignore[misc]  # Its environment is not that of the type checker.
    """Gristmill's embedder behind LlamaIndex's interface."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = embedder(self.model_name).embed_documents(texts).tolist()
        return rows

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


def characters(text: str) -> list[str]:
    """Sizes are counted in characters, as Gristmill does."""
    return list(text)


def main(name: str, size: str, overlap: str, listing: str) -> None:
    """Ingest the files that ``listing`` names."""
    files = Path(listing).read_text("utf-8").splitlines()
    splitter = SentenceSplitter(chunk_size=int(size), chunk_overlap=int(overlap), tokenizer=characters)
    model = Ours(model_name=name, embed_batch_size=32)
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
        list(pool.map(text_of, files[:_PROCESSES]))
        start = time.perf_counter()
        texts = list(pool.map(text_of, files, chunksize=8))
        documents = [
            Document(text=text, id_=file, metadata={"file_name": Path(file).name})
            for file, text in zip(files, texts, strict=True)
            if text
        ]
        store, docstore = SimpleVectorStore(), SimpleDocumentStore()
        pipeline = IngestionPipeline(
            transformations=[splitter, model], docstore=docstore, vector_store=store, disable_cache=True
        )
        nodes: Any = pipeline.run(documents=documents, num_workers=_PROCESSES)
        StorageContext.from_defaults(vector_store=store, docstore=docstore).persist(folder)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "chunks": len(nodes)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
