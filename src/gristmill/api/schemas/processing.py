"""Asynchronous document processing, in the form that existing clients know."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from gristmill.api.schemas.fields import Input, Output, Priority

__all__ = ["Accepted", "ProcessBody", "ProcessFields", "ProcessState"]


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


Truth = Annotated[bool, BeforeValidator(_trimmed)]
"""True, true, 1, on, yes and their opposites."""


class ProcessFields(Input):
    """How to process a document."""

    split: Truth = Field(False, description="Cut the text into chunks.")
    chunk_size: int = Field(1000, ge=50, le=20_000, description="Longest chunk, in characters.")
    chunk_overlap: int = Field(200, ge=0, description="Characters a chunk may share with the one before it.")
    priority: Priority = 5

    @model_validator(mode="after")
    def _overlap_fits(self) -> "ProcessFields":
        if "chunk_overlap" in self.model_fields_set and self.chunk_overlap > self.chunk_size // 2:
            facts = {"maximum": self.chunk_size // 2, "chunk_size": self.chunk_size, "value": self.chunk_overlap}
            raise PydanticCustomError("chunk_overlap_out_of_range", "overlap", {**facts, "field": "chunk_overlap"})
        return self

    def options(self) -> dict[str, Any]:
        """The part that goes into the task."""
        # A client that asks for small chunks alone must not fail over a default it does not know.
        overlap = min(self.chunk_overlap, self.chunk_size // 2)
        return {"split": self.split, "chunk_size": self.chunk_size, "chunk_overlap": overlap}


class ProcessBody(ProcessFields):
    """Which document to process, and how."""

    source: str = Field(max_length=4096, description="A URL, or a file under one of the folders in `sources.roots`.")


class Accepted(Output):
    """The document will be processed."""

    task_id: str
    status: str = Field("PENDING", examples=["PENDING"])
    message: str


class Processed(Output):
    """What was read."""

    status: str = Field(examples=["success"])
    filename: str | None
    document_count: int
    documents: list[dict[str, Any]] = Field(description="Each with `page_content` and `metadata`.")
    next_offset: int | None = Field(description="Where the next page begins; null on the last.")
    message: str | None = Field(description="Set if the documents were kept for their time and are gone.")


class ProcessState(Output):
    """How far the processing is."""

    task_id: str
    status: str = Field(description="PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED.")
    progress: int
    result: Processed | None
    error: str | None
    error_code: str | None
