"""Image datasets: build them, follow that, find images by image."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from gristmill.api.auth import needs
from gristmill.api.bodies import SentBody, StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.idempotency import IdempotencyKey
from gristmill.api.openapi import answers, form_or_json, problems
from gristmill.api.parameters import DocumentId, TaskId
from gristmill.api.schemas.images import (
    BuildBody,
    BuildQueued,
    BuildView,
    DatasetList,
    DatasetView,
    DuplicateGroupView,
    DuplicateList,
    DuplicatesQuery,
    FoundImages,
    ImageSearchBody,
    ImageSearchFields,
)
from gristmill.api.validated import validated
from gristmill.app import Gristmill
from gristmill.app.documents import upload_name
from gristmill.app.images import ImagePage
from gristmill.db.keys import Scope
from gristmill.errors import InvalidInput, LimitExceeded

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["images"], route_class=StrictRoute)

_TASK_ID = "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10"
_MEDIA_TYPE = "image/jpeg"
_FOR_EVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"
_QUEUED = {
    "success": True,
    "message": "Building 2 datasets",
    "data": {
        "task_id": _TASK_ID,
        "dataset_names": ["dataset1", "dataset2"],
        "status": "queued",
        "distributed": True,
        "mode": "celery",
        "reason": None,
    },
}
_DATASET = {
    "dataset": "dataset1",
    "task_id": "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f11",
    "status": "processing",
    "stage": "embed",
    "progress": 40,
    "total": 5000,
    "done": 1998,
    "failed": 2,
    "skipped": 0,
    "eta_seconds": 14.2,
    "computed_by": {"celery": 1998},
    "message": "dataset1: 1998 of 5000 images.",
    "failures": [
        {"doc_id": 17, "name": "broken.jpg", "code": "image_empty", "reason": "The image “broken.jpg” is empty: ..."}
    ],
    "result": None,
    "error": None,
}
_BUILD: dict[str, Any] = {
    "success": True,
    "message": "OK",
    "data": {
        "task_id": _TASK_ID,
        "status": "processing",
        "distributed": True,
        "mode": "celery",
        "reason": None,
        "progress": 40,
        "total": 5000,
        "done": 1998,
        "failed": 2,
        "skipped": 0,
        "created_at": "2026-05-04T12:00:00.000Z",
        "finished_at": None,
        "datasets": [_DATASET],
    },
}
_IMAGE = {
    "id": 12,
    "name": "tabby.jpg",
    "collection": "dataset1",
    "media_type": "image/jpeg",
    "width": 640,
    "height": 480,
    "size": 48210,
    "version": 1,
    "thumbnail_url": "/api/images/12/thumbnail?v=9f86d081884c7d65",
}
_FOUND = {
    "success": True,
    "message": "Found 1 images",
    "data": {
        "collections": ["dataset1"],
        "hits": [
            {
                "score": 0.93,
                "image": _IMAGE,
                "source": "/srv/images/dataset1/cats/tabby.jpg",
                "folders": ["cats"],
                "text": "",
            }
        ],
        "limit": 10,
        "offset": 0,
        "more": False,
    },
}
_THUMBNAILS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The thumbnail",
        "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}, "example": "(a JPEG file)"}},
    },
    304: {"description": "The one you have is the one there is"},
}
_DUPLICATES = {
    "success": True,
    "message": "Found 1 groups of duplicates",
    "data": {
        "collection": "dataset1",
        "groups": [{"keep": _IMAGE, "others": [{**_IMAGE, "id": 13, "name": "tabby (1).jpg"}], "exact": True}],
        "total": 1,
        "redundant": 1,
        "next_offset": None,
    },
}


@router.get(
    "/datasets",
    summary="List the image datasets",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": {"datasets": [{"name": "dataset1", "images": 5000}]}}),
)
def list_datasets(app: Service, reply: Reply) -> Envelope[DatasetList]:
    """The folders of images that can be built, and how much of each is in the index."""
    known = {found.name: found.document_count for found in app.index.collections()}
    return reply(
        DatasetList(datasets=[DatasetView(name=name, images=known.get(name)) for name in app.datasets.names()])
    )


@router.post(
    "/build_index",
    status_code=202,
    summary="Build image datasets",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(_QUEUED, status=202, description="Queued")
    | problems(
        {
            403: ("scope_missing", "path_outside_roots"),
            404: "dataset_not_found",
            409: "idempotency_key_reused",
            415: "content_type_unsupported",
            422: ("dataset_name_invalid", "images_root_unset", "field_missing"),
        }
    ),
)
def build_index(app: Service, reply: Reply, key: IdempotencyKey, body: BuildBody) -> Envelope[BuildQueued]:
    """Bring datasets up to date, each as a task of its own under one parent.

    What is new or changed is embedded, what is gone is removed, what is as it was is passed over. With `distributed`, images go to any worker, by the engine that is set up; without it, or while its broker is away,
    local workers compute them, and `mode` and `reason` say so.
    """
    task = app.datasets.build(
        body.dataset_names,
        distributed=body.distributed,
        force=body.force,
        priority=body.priority,
        idempotency_key=key,
    )
    mode = app.datasets.mode(distributed=body.distributed, fresh=True)
    names = list(dict.fromkeys(body.dataset_names))
    reason = mode.reason(reply.language)
    queued = BuildQueued(
        task_id=task.id, dataset_names=names, distributed=body.distributed, mode=mode.name, reason=reason
    )
    code = "datasets_build_queued" if reason is None else "datasets_build_queued_locally"
    return reply(queued, code, count=len(names), reason=reason)


@router.get(
    "/build_index/{task_id}",
    summary="Follow the building of image datasets",
    dependencies=[needs(Scope.READ)],
    responses=answers(_BUILD) | problems({404: "task_not_found"}),
)
def get_build(app: Service, reply: Reply, task_id: TaskId) -> Envelope[BuildView]:
    """How far a build is, dataset by dataset, with the images that failed and why.

    Takes the id of the whole or of one dataset. The same is written to a file per dataset in `images.progress`.
    """
    build = app.datasets.get(task_id)
    return reply(BuildView.of(build, language=reply.language, now=app.clock.now()))


def _upload_schema() -> dict[str, Any]:
    schema = ImageSearchFields.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    region = {"type": "string", "description": "Only this part of the image: x,y,width,height.", "default": ""}
    properties = {"file": {"type": "string", "format": "binary"}, **schema["properties"], "region": region}
    return {**schema, "required": ["file"], "properties": properties}


def _id_schema() -> dict[str, Any]:
    schema = ImageSearchBody.model_json_schema()
    region = schema.pop("$defs")["RegionBody"]
    return {**schema, "properties": {**schema["properties"], "region": region}}


@router.post(
    "/images/search",
    summary="Find images by image",
    dependencies=[needs(Scope.READ)],
    openapi_extra=form_or_json(form=_upload_schema(), json=_id_schema()),
    responses=answers(_FOUND)
    | problems(
        {
            400: ("body_unreadable", "body_not_json"),
            404: ("collection_not_found", "document_not_found", "no_images_yet"),
            409: ("collection_not_of_images", "image_not_indexed"),
            413: ("file_too_large", "body_too_large"),
            415: "content_type_unsupported",
            422: ("image_query_missing", "image_unreadable", "region_outside", "region_unreadable"),
            503: ("database_busy", "image_query_too_slow"),
        }
    ),
)
def search_images(app: Service, reply: Reply, sent: SentBody) -> Envelope[FoundImages]:
    """The images that are most like an upload, or like an indexed one, or like a part of either.

    The first search by upload or by part loads the model and takes about a second longer.
    """
    fields, page = _searched(app, sent)
    return reply(FoundImages.of(page, fields), "images_found", count=len(page.hits))


def _searched(app: Gristmill, sent: Any) -> tuple[ImageSearchFields, ImagePage]:
    if not sent.files:
        if "image_id" not in sent.values:
            raise InvalidInput("image_query_missing", field="file")
        body = validated(ImageSearchBody, sent.values)
        return body, app.images.like_document(body.image_id, **body.options())
    if len(sent.files) > 1:
        raise InvalidInput("too_many_files", field="file", count=len(sent.files), max_files=1)
    values = {name: value for name, value in sent.values.items() if value != ""}
    fields = validated(ImageSearchFields, values)
    part = sent.files[0][1]
    most = app.settings.sources.max_file_mb * 1024 * 1024
    data = part.file.read(most + 1)
    if len(data) > most:
        raise LimitExceeded("file_too_large", limit_bytes=most)
    return fields, app.images.like_upload(data, name=upload_name(part.filename), **fields.options())


@router.get(
    "/images/duplicates",
    summary="Report duplicate images",
    dependencies=[needs(Scope.READ)],
    responses=answers(_DUPLICATES) | problems({404: "collection_not_found", 409: "collection_not_of_images"}),
)
def list_duplicates(app: Service, reply: Reply, query: Annotated[DuplicatesQuery, Query()]) -> Envelope[DuplicateList]:
    """Groups of copies: the same bytes, or pictures that were scaled, compressed again or coloured a little.

    Nothing is deleted.
    """
    groups = app.images.duplicates(query.collection, distance=query.distance)
    end = query.offset + query.limit
    listed = DuplicateList(
        collection=query.collection,
        groups=[DuplicateGroupView.of(group, query.collection) for group in groups[query.offset : end]],
        total=len(groups),
        redundant=sum(len(group.members) - 1 for group in groups),
        next_offset=end if end < len(groups) else None,
    )
    return reply(listed, "duplicates_found", count=len(groups))


@router.get(
    "/images/{document_id}/thumbnail",
    summary="Get the thumbnail of an image",
    dependencies=[needs(Scope.READ)],
    response_class=Response,
    responses=_THUMBNAILS | problems({404: ("document_not_found", "thumbnail_not_found")}),
)
def get_thumbnail(
    app: Service,
    request: Request,
    document_id: DocumentId,
    v: Annotated[
        str | None, Query(max_length=64, description="What changes with the image, as in `thumbnail_url`.")
    ] = None,
) -> Response:
    """A small JPEG. With the `v` that the image has now it may be kept for ever, otherwise ask again with its ETag."""
    data, content = app.images.thumbnail(document_id)
    tag = f'"{content[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": _FOR_EVER if v and content.startswith(v) else _ASK_AGAIN,
        "X-Content-Type-Options": "nosniff",
    }
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=_MEDIA_TYPE, headers=headers)
