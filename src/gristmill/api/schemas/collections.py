"""Collections as clients see and name them."""

from pydantic import Field

from gristmill.api.schemas.fields import Input, Output
from gristmill.clock import to_rfc3339
from gristmill.index.model import Collection

__all__ = ["CollectionBody", "CollectionChange", "CollectionList", "CollectionView", "DeletedCollection"]


class CollectionBody(Input):
    """What a collection is to be like."""

    embedder: str | None = Field(
        None, max_length=100, description="What turns its text into vectors.", examples=["multilingual"]
    )


class CollectionView(Output):
    """One collection."""

    name: str
    embedder: str
    model: str
    dimension: int
    chunk_size: int
    chunk_overlap: int
    documents: int
    chunks: int
    created_at: str

    @classmethod
    def of(cls, collection: Collection) -> "CollectionView":
        """``collection`` for a client."""
        return cls(
            name=collection.name,
            embedder=collection.space.embedder,
            model=collection.space.model_id,
            dimension=collection.space.dimension,
            chunk_size=collection.chunk_size,
            chunk_overlap=collection.chunk_overlap,
            documents=collection.document_count,
            chunks=collection.chunk_count,
            created_at=to_rfc3339(collection.created_at) or "",
        )


class CollectionList(Output):
    """All collections, by name."""

    collections: list[CollectionView]


class CollectionChange(Output):
    """A collection as it is now, and the task that changes it, if one was needed."""

    collection: CollectionView
    task_id: str | None = None


class DeletedCollection(Output):
    """A collection that is gone."""

    name: str
    documents: int = Field(description="How many documents went with it.")
