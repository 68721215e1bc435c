"""Image datasets, and searches for images."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gristmill.api.schemas.fields import Input, Output, Priority, RowId, as_list
from gristmill.api.schemas.told import ErrorView
from gristmill.app.datasets import Build, DatasetBuild, Datasets, failure
from gristmill.app.images import ImageHit, ImagePage, Region
from gristmill.clock import to_rfc3339
from gristmill.index.model import DocumentFilter, Indexed
from gristmill.index.search import MOST_HITS, MOST_OFFSET
from gristmill.steps.image.duplicates import MOST_DISTANCE, DuplicateGroup
from gristmill.tasks.model import Progress, TaskState
from gristmill.tasks.service import eta_seconds

__all__ = [
    "BuildBody",
    "BuildQueued",
    "BuildView",
    "DatasetList",
    "DatasetView",
    "DuplicateList",
    "DuplicatesQuery",
    "FoundImages",
    "ImageSearchBody",
    "ImageSearchFields",
]

_NUMBERS = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*")


class BuildBody(Input):
    """Which datasets to bring up to date."""

    dataset_names: Annotated[list[str], Field(min_length=1, max_length=1000)] = Field(
        description="Names of folders in `images.root`; one named twice counts once.",
        examples=[["dataset1", "dataset2"]],
    )
    distributed: bool = Field(True, description="Whether images go to any worker; otherwise local ones compute them.")
    force: bool = Field(False, description="Embed even what has not changed.")
    priority: Priority = 5


class BuildQueued(Output):
    """The datasets will be built."""

    task_id: str
    dataset_names: list[str]
    status: Literal["queued"] = "queued"
    distributed: bool
    mode: str = Field(
        description="Engine that carries the images; `local` while the broker is away.", examples=["celery"]
    )
    reason: str | None = Field(description="Why it is not the engine that is set up.")


class FailureView(Output):
    """An image that is not in the index as it should be."""

    doc_id: int | None
    name: str
    code: str
    reason: str


class DatasetBuildView(Output):
    """One dataset of a build; all counts are images."""

    dataset: str
    task_id: str
    status: TaskState
    stage: str
    progress: int
    total: int | None
    done: int
    failed: int
    skipped: int
    eta_seconds: float | None
    computed_by: dict[str, int] = Field(description="Images that are done, by the engine that carried them.")
    message: str
    failures: list[FailureView] = Field(description="The first hundred.")
    result: dict[str, Any] | None
    error: ErrorView | None

    @classmethod
    def of(cls, part: DatasetBuild, build: Build, *, language: str, now: int) -> "DatasetBuildView":
        """``part`` of ``build`` for a client."""
        task, progress = part.task, part.task.progress
        eta = eta_seconds(task, now)
        counts = _counts(progress)
        error = task.error
        return cls(
            dataset=part.dataset,
            task_id=task.id,
            status=task.state,
            stage=progress.stage,
            progress=100 if task.state is TaskState.COMPLETED else progress.percent,
            **counts,
            eta_seconds=None if eta is None else round(eta, 1),
            computed_by=dict(part.computed_by),
            message=Datasets.message(part.dataset, task.state, counts, build.mode, task.result, language),
            failures=[FailureView(**failure(document, language)) for document in part.failures],
            result=None if task.result is None else dict(task.result),
            error=None if error is None else ErrorView(code=error.code, message=error.message(language)),
        )


class BuildView(Output):
    """A build; counts are images of all datasets together."""

    task_id: str
    status: TaskState
    distributed: bool
    mode: str = Field(description="Engine that carries the images now.")
    reason: str | None = Field(description="Why it is not the engine that is set up.")
    progress: int
    total: int | None
    done: int
    failed: int
    skipped: int
    created_at: str
    finished_at: str | None
    datasets: list[DatasetBuildView]

    @classmethod
    def of(cls, build: Build, *, language: str, now: int) -> "BuildView":
        """``build`` for a client."""
        task = build.task
        return cls(
            task_id=task.id,
            status=task.state,
            distributed=task.payload.get("distributed", True),
            mode=build.mode.name,
            reason=build.mode.reason(language),
            progress=100 if task.state is TaskState.COMPLETED else build.progress.percent,
            **_counts(build.progress),
            created_at=to_rfc3339(task.created_at) or "",
            finished_at=to_rfc3339(task.finished_at),
            datasets=[DatasetBuildView.of(part, build, language=language, now=now) for part in build.datasets],
        )


def _counts(progress: Progress) -> dict[str, Any]:
    return {name: getattr(progress, name) for name in ("total", "done", "failed", "skipped")}


class DatasetView(Output):
    """A folder of images."""

    name: str
    images: int | None = Field(description="Images in the index; null if it was never built.")


class DatasetList(Output):
    """The datasets there are, by name."""

    datasets: list[DatasetView]


def _region(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _NUMBERS.fullmatch(value)
    if found is None:
        raise PydanticCustomError("region_unreadable", "not a region", {"value": value[:80]})
    return dict(zip(("x", "y", "width", "height"), map(int, found.groups()), strict=True))


class RegionBody(Input):
    """A part of an image, in pixels of the upright original, from its upper left corner."""

    x: int = Field(ge=0, lt=2**31)
    y: int = Field(ge=0, lt=2**31)
    width: int = Field(ge=1, lt=2**31)
    height: int = Field(ge=1, lt=2**31)

    def to_region(self) -> Region:
        """For the search."""
        return Region(x=self.x, y=self.y, width=self.width, height=self.height)


class ImageSearchFields(Input):
    """Where to look for images, and how many."""

    collections: Annotated[list[str], BeforeValidator(as_list), Field(max_length=100)] = Field(
        [], description="Collections to search; by default that of the image named by id, else all that hold images."
    )
    region: Annotated[RegionBody | None, BeforeValidator(_region)] = Field(
        None, description="Only this part of the image; in a form, `x,y,width,height`."
    )
    limit: int = Field(10, ge=1, le=MOST_HITS, description="Hits per page.")
    offset: int = Field(0, ge=0, le=MOST_OFFSET, description="Hits to pass over.")
    min_score: float = Field(0.0, ge=0, le=1, description="Leave out images that are less alike.")
    name: str | None = Field(None, max_length=255, description="Name, with `*` and `?`.", examples=["*.png"])
    media_type: Annotated[list[str], BeforeValidator(as_list), Field(max_length=50)] = Field(
        [], description="Media types.", examples=[["image/png"]]
    )
    text: str | None = Field(None, max_length=200, description="Part of name or path.")

    def options(self) -> dict[str, Any]:
        """For the search."""
        return {
            "collections": self.collections,
            "where": DocumentFilter(name=self.name, media_types=self.media_type, text=self.text),
            "limit": self.limit,
            "offset": self.offset,
            "least_score": self.min_score,
            "region": None if self.region is None else self.region.to_region(),
        }


class ImageSearchBody(ImageSearchFields):
    """Which indexed image to find others like."""

    image_id: RowId = Field(description="Id of an indexed image.", examples=[12])


class ImageView(Output):
    """An image in the index."""

    id: int
    name: str
    collection: str
    media_type: str | None
    width: int | None = Field(description="Of the upright image, in pixels.")
    height: int | None
    size: int | None = Field(description="Bytes of the file.")
    version: int
    thumbnail_url: str = Field(description="Changes with the image, so it may be kept for ever.")

    @classmethod
    def of(cls, image: Indexed, collection: str) -> "ImageView":
        """``image`` for a client."""
        known: Mapping[str, Any] = image.metadata
        return cls(
            id=image.document_id,
            name=image.name,
            collection=collection,
            media_type=image.media_type,
            width=known.get("width"),
            height=known.get("height"),
            size=image.size,
            version=image.version,
            thumbnail_url=f"/api/images/{image.document_id}/thumbnail?v={image.content_hash[:16]}",
        )


class ImageHitView(Output):
    """An image that is like the query."""

    score: float = Field(description="Cosine similarity, 0 to 1.")
    image: ImageView
    source: str
    folders: list[str] = Field(description="Between the dataset and the image.")
    text: str = Field(description="What was read in it, if anything.")

    @classmethod
    def of(cls, found: ImageHit) -> "ImageHitView":
        """``found`` for a client."""
        return cls(
            score=found.score,
            image=ImageView.of(found.image, found.collection),
            source=found.hit.source,
            folders=list(found.hit.place.headings),
            text=found.hit.text,
        )


class FoundImages(Output):
    """A page of images, the most alike first."""

    collections: list[str] = Field(description="Those that were searched.")
    hits: list[ImageHitView]
    limit: int
    offset: int
    more: bool = Field(description="Whether another page follows.")

    @classmethod
    def of(cls, page: ImagePage, fields: ImageSearchFields) -> "FoundImages":
        """``page`` for a client."""
        return cls(
            collections=list(page.collections),
            hits=[ImageHitView.of(found) for found in page.hits],
            limit=fields.limit,
            offset=fields.offset,
            more=page.more,
        )


class DuplicatesQuery(Input):
    """Where to look for duplicates."""

    collection: str = Field(max_length=200, description="Collection of images.")
    distance: int = Field(
        10, ge=0, le=MOST_DISTANCE, description="Bits of 256 in which fingerprints of copies may differ."
    )
    limit: int = Field(50, ge=1, le=1000, description="Groups per page.")
    offset: int = Field(0, ge=0, lt=2**31, description="Groups to pass over.")


class DuplicateGroupView(Output):
    """Copies of one picture."""

    keep: ImageView = Field(description="The one to keep: the most pixels, then the most bytes, then the oldest.")
    others: list[ImageView]
    exact: bool = Field(description="Whether all have the same bytes.")

    @classmethod
    def of(cls, group: DuplicateGroup, collection: str) -> "DuplicateGroupView":
        """``group`` for a client."""
        keep, *others = (ImageView.of(member, collection) for member in group.members)
        return cls(keep=keep, others=others, exact=group.is_exact)


class DuplicateList(Output):
    """A page of groups, the largest first."""

    collection: str
    groups: list[DuplicateGroupView]
    total: int = Field(description="Groups in all.")
    redundant: int = Field(description="Images in all that are not the one to keep.")
    next_offset: int | None = Field(description="Null on the last page.")
