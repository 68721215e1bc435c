"""Versions, what lies between two of them, and snapshots, as clients see and name them."""

from typing import Annotated

from pydantic import Field

from gristmill.api.schemas.documents import VersionView
from gristmill.api.schemas.fields import Input, Output, RowId
from gristmill.clock import to_rfc3339
from gristmill.index.difference import Change, ChangeKind, Difference, StretchKind, stretches
from gristmill.index.model import PlacedChunk, Restoration, Snapshot, Version

__all__ = [
    "DiffQuery",
    "DiffView",
    "ForgottenSnapshot",
    "KeptVersionView",
    "RestorationView",
    "RollbackBody",
    "SnapshotBody",
    "SnapshotList",
    "SnapshotView",
    "VersionList",
]


class KeptVersionView(VersionView):
    """A version that is kept."""

    is_current: bool = Field(description="Whether it is the one that answers searches.")
    content_hash: str = Field(description="SHA-256 of the bytes it was made of.")
    title: str | None

    @classmethod
    def of_kept(cls, version: Version, *, current: int | None, language: str) -> "KeptVersionView":
        """``version`` for a client, where ``current`` answers."""
        view = VersionView.of(version, language)
        return cls(
            **view.model_dump(exclude={"notices"}),
            notices=view.notices,
            is_current=version.id == current,
            content_hash=version.content_hash,
            title=version.title,
        )


class VersionList(Output):
    """The versions of a document, newest first."""

    versions: list[KeptVersionView]


class RollbackBody(Input):
    """Which version is to answer."""

    version: RowId = Field(description="Its number.", examples=[2])


_Number = Annotated[RowId, Field(description="Number of a version.")]


class DiffQuery(Input):
    """Which versions, and which part of what lies between them."""

    before: _Number
    after: _Number
    offset: int = Field(0, ge=0, lt=2**31, description="Changes to pass over.")
    limit: int = Field(50, ge=1, le=200, description="Changes per page.")


class StretchView(Output):
    """Some text that both versions have, or one of them."""

    kind: StretchKind
    text: str


class ChunkView(Output):
    """Where a chunk stands in its version."""

    position: int
    start: int
    end: int
    page: int | None
    headings: tuple[str, ...]

    @classmethod
    def of(cls, chunk: PlacedChunk) -> "ChunkView":
        """``chunk`` for a client."""
        place = chunk.place
        return cls(position=chunk.position, start=place.start, end=place.end, page=place.page, headings=place.headings)


class ChangeView(Output):
    """A chunk that is not the same in both versions."""

    kind: ChangeKind
    before: ChunkView | None
    after: ChunkView | None
    text: list[StretchView] = Field(description="Word by word; what is the same and what was removed was the old text.")

    @classmethod
    def of(cls, change: Change) -> "ChangeView":
        """``change`` for a client."""
        return cls(
            kind=change.kind,
            before=None if change.before is None else ChunkView.of(change.before),
            after=None if change.after is None else ChunkView.of(change.after),
            text=[StretchView(kind=stretch.kind, text=stretch.text) for stretch in stretches(change)],
        )


class DiffView(Output):
    """What lies between two versions, by chunks."""

    added: int
    removed: int
    changed: int
    unchanged: int
    changes: list[ChangeView] = Field(description="A page of them, in the order of the text.")
    next_offset: int | None = Field(description="Null on the last page.")

    @classmethod
    def of(cls, found: Difference, *, offset: int, limit: int) -> "DiffView":
        """A page of ``found`` for a client."""
        page = found.changes[offset : offset + limit]
        end = offset + len(page)
        return cls(
            added=found.count(ChangeKind.ADDED),
            removed=found.count(ChangeKind.REMOVED),
            changed=found.count(ChangeKind.CHANGED),
            unchanged=found.unchanged,
            changes=[ChangeView.of(change) for change in page],
            next_offset=end if end < len(found.changes) else None,
        )


class SnapshotBody(Input):
    """What to call it."""

    name: str = Field(
        max_length=200, description="1 to 200 printable characters, for people.", examples=["before the move"]
    )


class SnapshotView(Output):
    """What a collection showed at one moment."""

    id: int
    name: str
    is_automatic: bool = Field(description="Taken before another was restored; the next restoring replaces it.")
    embedder: str
    chunk_size: int
    chunk_overlap: int
    documents: int
    chunks: int
    created_at: str

    @classmethod
    def of(cls, snapshot: Snapshot) -> "SnapshotView":
        """``snapshot`` for a client."""
        return cls(
            id=snapshot.id,
            name=snapshot.name,
            is_automatic=snapshot.is_automatic,
            embedder=snapshot.space.embedder,
            chunk_size=snapshot.chunk_size,
            chunk_overlap=snapshot.chunk_overlap,
            documents=snapshot.document_count,
            chunks=snapshot.chunk_count,
            created_at=to_rfc3339(snapshot.created_at) or "",
        )


class SnapshotList(Output):
    """The snapshots of a collection, newest first."""

    snapshots: list[SnapshotView]


class RestorationView(Output):
    """What restoring changed."""

    before: SnapshotView = Field(description="Restore this one to undo it.")
    changed: int = Field(description="Documents that show another version now.")
    returned: int = Field(description="Documents that had been deleted since, and are back.")
    removed: int = Field(description="Documents that had come since, and are gone.")

    @classmethod
    def of(cls, restored: Restoration) -> "RestorationView":
        """``restored`` for a client."""
        return cls(
            before=SnapshotView.of(restored.before),
            changed=restored.changed,
            returned=restored.returned,
            removed=restored.removed,
        )


class ForgottenSnapshot(Output):
    """A snapshot that is gone."""

    id: int
