"""Documents as clients see and name them."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from gristmill.api.schemas.fields import Input, Output, as_list
from gristmill.api.schemas.told import ErrorView
from gristmill.clock import to_rfc3339
from gristmill.index.model import Document, DocumentFilter, DocumentState, Material, Origin, Version

__all__ = [
    "DeletedDocument",
    "DocumentPage",
    "DocumentPageQuery",
    "DocumentView",
    "FailedItem",
    "PathsBody",
    "Registered",
    "UploadFields",
]

_Names = Annotated[list[Annotated[str, Field(max_length=200)]], BeforeValidator(as_list), Field(max_length=50)]
_Sources = list[Annotated[str, Field(max_length=4096)]]


class UploadFields(Input):
    """What stands beside the files of an upload."""

    collection: str = Field("default", max_length=200, description="Collection to register them in.")


class PathsBody(UploadFields):
    """Documents that are on this machine or on the web."""

    paths: _Sources = Field(
        [], description="Files under one of the folders in `sources.roots`.", examples=[["/srv/papers/a.pdf"]]
    )
    urls: _Sources = Field([], description="Addresses.", examples=[["https://example.org/a.html"]])


class DocumentPageQuery(Input):
    """Which page of which documents."""

    collection: str | None = Field(None, max_length=200, description="Collection they are in.")
    state: Annotated[list[DocumentState], BeforeValidator(as_list)] = Field([], description="States.")
    kind: Annotated[list[Material], BeforeValidator(as_list)] = Field([], description="text, image or code.")
    media_type: _Names = Field([], description="Media types.", examples=[["application/pdf"]])
    name: str | None = Field(None, max_length=255, description="Name, with `*` and `?`.", examples=["*.pdf"])
    source_prefix: str | None = Field(None, max_length=4096, description="How the source begins.")
    text: str | None = Field(None, max_length=200, description="Part of name or source.")
    limit: int = Field(50, ge=1, le=500, description="Documents per page.")
    cursor: str | None = Field(None, max_length=40, description="`next_cursor` of the page before.")

    def to_filter(self) -> DocumentFilter:
        """The same for the store."""
        return DocumentFilter(
            collection=self.collection,
            states=self.state,
            materials=self.kind,
            media_types=self.media_type,
            name=self.name,
            source_prefix=self.source_prefix,
            text=self.text,
        )


class VersionView(Output):
    """The version of a document that answers searches."""

    number: int
    chunks: int
    embedded: int
    reused: int
    deleted: int
    size: int | None
    published_at: str | None
    notices: list[ErrorView] = Field(description="What the reader should know, short of a failure.")

    @classmethod
    def of(cls, version: Version, language: str) -> "VersionView":
        """``version`` for a client."""
        return cls(
            number=version.number,
            chunks=version.chunk_count,
            embedded=version.embedded,
            reused=version.reused,
            deleted=version.deleted,
            size=version.size,
            published_at=to_rfc3339(version.published_at),
            notices=[ErrorView.of(notice, language) for notice in version.notices],
        )


class DocumentView(Output):
    """One document."""

    id: int
    collection: str
    name: str
    source: str
    origin: Origin
    material: Material
    state: DocumentState
    media_type: str | None
    title: str | None
    size: int | None
    created_at: str
    updated_at: str
    indexed_at: str | None
    version: VersionView | None
    error: ErrorView | None = Field(description="Why the latest attempt failed.")

    @classmethod
    def of(cls, document: Document, language: str) -> "DocumentView":
        """``document`` for a client."""
        return cls(
            id=document.id,
            collection=document.collection,
            name=document.name,
            source=document.source,
            origin=document.origin,
            material=document.material,
            state=document.state,
            media_type=document.media_type,
            title=document.title,
            size=document.size,
            created_at=to_rfc3339(document.created_at) or "",
            updated_at=to_rfc3339(document.updated_at) or "",
            indexed_at=to_rfc3339(document.indexed_at),
            version=None if document.version is None else VersionView.of(document.version, language),
            error=None if document.error is None else ErrorView.of(document.error, language),
        )


class FailedItem(Output):
    """Something of a batch that was not registered."""

    name: str
    code: str
    message: str


class Registered(Output):
    """What became of a batch; nothing is indexed yet."""

    documents: list[DocumentView]
    failed: list[FailedItem]


class DocumentPage(Output):
    """A page of documents, by id."""

    documents: list[DocumentView]
    total: int
    next_cursor: str | None = Field(description="Null on the last page.")


class DeletedDocument(Output):
    """A document that is gone."""

    deleted: list[int]
