"""Gives a collection the vectors of another embedder, beside the old ones, and switches when they are complete."""

from collections.abc import Callable

from gristmill.embed.ports import Embedder
from gristmill.errors import Conflict
from gristmill.index.ports import IndexStore
from gristmill.kinds import ReembedCollection
from gristmill.pipelines.index_document import text_to_embed
from gristmill.tasks.model import Completed, Outcome
from gristmill.tasks.ports import TaskContext

__all__ = ["CollectionReembedder"]

_BATCH = 64


class CollectionReembedder:
    """Handles ``reembed_collection``. What an earlier attempt has embedded is kept."""

    def __init__(self, index: IndexStore, embedder: Callable[[str], Embedder]) -> None:
        self._index = index
        self._embedder = embedder

    def __call__(self, context: TaskContext, payload: ReembedCollection) -> Outcome:
        """The whole task."""
        embedder = self._embedder(payload.embedder)
        space = self._index.begin_space(
            payload.collection,
            embedder=payload.embedder,
            model_id=embedder.model_id,
            dimension=embedder.dimension,
        )
        result = {"collection": payload.collection, "embedder": payload.embedder, "model_id": embedder.model_id}
        if self._index.collection(payload.collection).space.id == space.id:
            return Completed(result={**result, "embedded": 0})
        done = 0
        context.progress("embed", unit="chunks", total=self._index.count_to_embed(space.id))
        while chunks := self._index.chunks_to_embed(space.id, limit=_BATCH):
            vectors = embedder.embed_documents(
                [text_to_embed(chunk.document_name, chunk.headings, chunk.text) for chunk in chunks]
            )
            self._index.add_embeddings(
                space.id, [(chunk.chunk_no, vector) for chunk, vector in zip(chunks, vectors, strict=True)]
            )
            done += len(chunks)
            context.progress("embed", unit="chunks", done=done, total=done + self._index.count_to_embed(space.id))
        return Completed(result={**result, "embedded": done}, effect=lambda tx: self._switch(tx, space.id))

    def _switch(self, transaction: object, space_id: int) -> None:
        if not self._index.activate_space(transaction, space_id):
            # A document was published since the last look; the runner answers a conflict with another try.
            raise Conflict("embeddings_incomplete", space_id=space_id)
