"""Indexing by id, in the form that existing clients know."""

from typing import Annotated, Any, Literal

from pydantic import Field

from gristmill.api.schemas.fields import Input, Output, Priority, RowId

__all__ = ["IndexBody", "Indexed", "Queued", "TaskStatus"]


class IndexBody(Input):
    """Which documents to index."""

    doc_ids: Annotated[list[RowId], Field(min_length=1, max_length=100_000)] = Field(
        description="Ids of registered documents; one named twice counts once.", examples=[[1, 2, 3, 4, 5]]
    )
    force: bool = Field(False, description="Index even what has not changed.")
    priority: Priority = 5
    user_id: int | None = Field(None, description="Your own number of whoever asked for it.")


class Queued(Output):
    """The documents will be indexed."""

    task_id: str
    doc_ids: list[int]
    status: Literal["queued"] = "queued"
    mode: str = Field(description="Engine that carries the task.", examples=["local"])


class Indexed(Output):
    """The documents were indexed."""

    total: int
    success: int
    failed: int
    skipped: int = Field(description="Those among `success` that had not changed.")
    details: list[dict[str, Any]] = Field(description="One entry per document.")
    task_id: str
    mode: Literal["sync"] = "sync"


class CeleryResult(Output):
    """Progress as Celery's `update_state` would tell it."""

    progress: int
    current: int
    total: int | None
    status: str = Field(examples=["Processing 3/5"])


class TaskStatus(Output):
    """An indexing task; the Celery fields are derived from our own state, on every engine."""

    id: int
    task_id: str
    task_type: str = Field(examples=["batch"])
    status: str = Field(examples=["processing"])
    priority: int
    progress: int
    created_at: str
    started_at: str | None
    updated_at: str
    completed_at: str | None
    celery_state: str = Field(examples=["PROGRESS"])
    celery_result: CeleryResult
    result: dict[str, Any] | None
    error: str | None
