"""Snapshots of collections: take, list, restore, forget."""

from typing import Annotated

from fastapi import APIRouter, Path

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers, problems
from gristmill.api.parameters import CollectionName
from gristmill.api.schemas.fields import RowId
from gristmill.api.schemas.versions import (
    ForgottenSnapshot,
    RestorationView,
    SnapshotBody,
    SnapshotList,
    SnapshotView,
)
from gristmill.db.keys import Scope

__all__ = ["router"]

router = APIRouter(prefix="/api/collections/{name}/snapshots", tags=["versions"], route_class=StrictRoute)

_SnapshotId = Annotated[RowId, Path(description="Id of a snapshot.")]
_VIEW = {
    "id": 1,
    "name": "before the move",
    "is_automatic": False,
    "embedder": "multilingual",
    "chunk_size": 1000,
    "chunk_overlap": 100,
    "documents": 42,
    "chunks": 1290,
    "created_at": "2026-05-04T12:00:00.000Z",
}
_GONE = problems({404: ("collection_not_found", "snapshot_not_found")})


@router.post(
    "",
    status_code=201,
    summary="Take a snapshot",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(
        {"success": True, "message": "Took snapshot 1 of default", "data": _VIEW}, status=201, description="Taken"
    )
    | problems({404: "collection_not_found", 415: "content_type_unsupported", 422: "snapshot_name_invalid"}),
)
def take_snapshot(app: Service, reply: Reply, name: CollectionName, body: SnapshotBody) -> Envelope[SnapshotView]:
    """Keep what a collection shows now, with its settings. Versions are kept for as long as a snapshot names them."""
    snapshot = app.index.take_snapshot(name, body.name)
    return reply(SnapshotView.of(snapshot), "snapshot_taken", snapshot_id=snapshot.id, collection=name)


@router.get(
    "",
    summary="List snapshots",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": {"snapshots": [_VIEW]}})
    | problems({404: "collection_not_found"}),
)
def list_snapshots(app: Service, reply: Reply, name: CollectionName) -> Envelope[SnapshotList]:
    """The snapshots of a collection, newest first."""
    return reply(SnapshotList(snapshots=[SnapshotView.of(found) for found in app.index.snapshots(name)]))


@router.post(
    "/{snapshot_id}/restore",
    summary="Restore a snapshot",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(
        {
            "success": True,
            "message": "default shows what it showed in snapshot 1",
            "data": {"before": {**_VIEW, "id": 2, "is_automatic": True}, "changed": 3, "returned": 1, "removed": 2},
        }
    )
    | _GONE,
)
def restore_snapshot(
    app: Service, reply: Reply, name: CollectionName, snapshot_id: _SnapshotId
) -> Envelope[RestorationView]:
    """Let a collection show what it showed then, at once and for every search; nothing is embedded.

    Documents that were deleted since come back, and those that came since are removed. What it showed before is kept as
    a snapshot, so that this can be undone.
    """
    restored = app.index.restore(name, snapshot_id, keep_versions=app.settings.index.keep_versions)
    return reply(RestorationView.of(restored), "snapshot_restored", snapshot_id=snapshot_id, collection=name)


@router.delete(
    "/{snapshot_id}",
    summary="Forget a snapshot",
    dependencies=[needs(Scope.WRITE)],
    responses=answers({"success": True, "message": "Forgot snapshot 1 of default", "data": {"id": 1}}) | _GONE,
)
def forget_snapshot(
    app: Service, reply: Reply, name: CollectionName, snapshot_id: _SnapshotId
) -> Envelope[ForgottenSnapshot]:
    """Give up a snapshot, and the versions that were kept for its sake alone."""
    app.index.forget_snapshot(name, snapshot_id, keep_versions=app.settings.index.keep_versions)
    return reply(ForgottenSnapshot(id=snapshot_id), "snapshot_forgotten", snapshot_id=snapshot_id, collection=name)
