"""Parts of an address that several endpoints share."""

from typing import Annotated

from fastapi import Path

from gristmill.api.schemas.fields import RowId

__all__ = ["CollectionName", "DocumentId", "TaskId"]

CollectionName = Annotated[str, Path(max_length=200, description="Name of a collection.")]
DocumentId = Annotated[RowId, Path(description="Id of a document.")]
TaskId = Annotated[str, Path(max_length=200, description="Id of a task.")]
