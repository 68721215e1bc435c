"""Searches and their hits."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from gristmill.api.schemas.fields import Input, Output, RowId, as_list
from gristmill.index.model import DocumentFilter, Hit, Material, SearchMode
from gristmill.index.search import MOST_HITS, MOST_OFFSET, SearchPage

__all__ = ["Found", "SearchBody"]

_Types = Annotated[list[Annotated[str, Field(max_length=200)]], BeforeValidator(as_list), Field(max_length=50)]


class SearchFilters(Input):
    """Which documents to search; all fields together."""

    ids: Annotated[list[RowId], Field(max_length=10_000)] = Field([], description="Document ids.")
    name: str | None = Field(None, max_length=255, description="Name, with `*` and `?`.", examples=["*.pdf"])
    media_type: _Types = Field([], description="Media types.", examples=[["application/pdf"]])
    source_prefix: str | None = Field(None, max_length=4096, description="How the source begins.")
    text: str | None = Field(None, max_length=200, description="Part of name or source.")


class SearchBody(Input):
    """What to look for."""

    query: str = Field(description="Words, or a question.", examples=["who oils the sluice gate"])
    collection: str = Field("default", max_length=200, description="Collection to search.")
    mode: SearchMode = Field(SearchMode.HYBRID, description="By meaning, by words, or both.")
    kind: Material | None = Field(None, description="Only text, images or code.")
    filters: SearchFilters = Field(default_factory=SearchFilters)
    limit: int = Field(10, ge=1, le=MOST_HITS, description="Hits per page.")
    offset: int = Field(0, ge=0, le=MOST_OFFSET, description="Hits to pass over.")

    def to_filter(self) -> DocumentFilter:
        """The filters for the store."""
        return DocumentFilter(
            ids=self.filters.ids,
            media_types=self.filters.media_type,
            name=self.filters.name,
            source_prefix=self.filters.source_prefix,
            text=self.filters.text,
        )


class HitDocument(Output):
    """The document of a hit."""

    id: int
    name: str
    source: str
    title: str | None
    media_type: str | None
    material: Material


class HitChunk(Output):
    """The part of the document that was found."""

    no: int
    position: int
    text: str


class HitLocation(Output):
    """Where the chunk stands; offsets count characters."""

    page: int | None
    start: int
    end: int
    headings: list[str]
    part: str | None = Field(description="Member of an archive.")


class HitHighlight(Output):
    """A stretch of the chunk with the matched words as `[start, end)`."""

    text: str
    ranges: list[tuple[int, int]]


class HitView(Output):
    """One hit."""

    score: float = Field(description="0 to 1; higher is better.")
    document: HitDocument
    version: int
    chunk: HitChunk
    highlights: list[HitHighlight]
    location: HitLocation
    vector_score: float | None = Field(description="Cosine similarity, if it was found by meaning.")
    keyword_score: float | None = Field(description="BM25, if it was found by words.")

    @classmethod
    def of(cls, hit: Hit) -> "HitView":
        """``hit`` for a client."""
        return cls(
            score=hit.score,
            document=HitDocument(
                id=hit.document_id,
                name=hit.name,
                source=hit.source,
                title=hit.title,
                media_type=hit.media_type,
                material=hit.material,
            ),
            version=hit.version,
            chunk=HitChunk(no=hit.chunk_no, position=hit.position, text=hit.text),
            highlights=[HitHighlight(text=part.text, ranges=list(part.ranges)) for part in hit.highlights],
            location=HitLocation(
                page=hit.place.page,
                start=hit.place.start,
                end=hit.place.end,
                headings=list(hit.place.headings),
                part=hit.place.part,
            ),
            vector_score=hit.vector_score,
            keyword_score=hit.keyword_score,
        )


class Found(Output):
    """A page of hits, best first."""

    query: str
    collection: str
    mode: SearchMode
    hits: list[HitView]
    total: int = Field(description="Candidates that were ranked; not all that match somehow.")
    limit: int
    offset: int
    more: bool = Field(description="Whether another page follows.")

    @classmethod
    def of(cls, page: SearchPage, body: SearchBody) -> "Found":
        """``page`` for a client."""
        return cls(
            query=body.query,
            collection=page.collection,
            mode=page.mode,
            hits=[HitView.of(hit) for hit in page.hits],
            total=page.total,
            limit=body.limit,
            offset=body.offset,
            more=page.more,
        )
