"""Versions of documents: list, compare, roll back."""

from typing import Annotated

from fastapi import APIRouter, Query

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers, problems
from gristmill.api.parameters import DocumentId
from gristmill.api.schemas.documents import DocumentView
from gristmill.api.schemas.versions import DiffQuery, DiffView, KeptVersionView, RollbackBody, VersionList
from gristmill.db.keys import Scope
from gristmill.index.difference import difference

__all__ = ["router"]

router = APIRouter(prefix="/api/documents", tags=["versions"], route_class=StrictRoute)

_VERSION = {
    "number": 2,
    "chunks": 12,
    "embedded": 1,
    "reused": 11,
    "deleted": 1,
    "size": 48213,
    "published_at": "2026-05-04T12:00:00.000Z",
    "notices": [],
    "is_current": True,
    "content_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "title": "Flood plan",
}
_PLACE = {"position": 3, "start": 2400, "end": 3300, "page": 2, "headings": ["Before the flood"]}
_DIFF = {
    "added": 0,
    "removed": 0,
    "changed": 1,
    "unchanged": 11,
    "changes": [
        {
            "kind": "changed",
            "before": _PLACE,
            "after": _PLACE,
            "text": [
                {"kind": "same", "text": "Close the"},
                {"kind": "removed", "text": " lower"},
                {"kind": "added", "text": " upper"},
                {"kind": "same", "text": " weir."},
            ],
        }
    ],
    "next_offset": None,
}


@router.get(
    "/{document_id}/versions",
    summary="List versions",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": {"versions": [_VERSION]}})
    | problems({404: "document_not_found"}),
)
def list_versions(app: Service, reply: Reply, document_id: DocumentId) -> Envelope[VersionList]:
    """The versions that are kept of a document, newest first. How many that are is the setting `index.keep_versions`."""
    document = app.index.document(document_id)
    current = None if document.version is None else document.version.id
    views = [
        KeptVersionView.of_kept(version, current=current, language=reply.language)
        for version in app.index.versions(document_id)
    ]
    return reply(VersionList(versions=views))


@router.get(
    "/{document_id}/diff",
    summary="Compare two versions",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": _DIFF})
    | problems({404: ("document_not_found", "version_not_found")}),
)
def diff_versions(
    app: Service, reply: Reply, document_id: DocumentId, query: Annotated[DiffQuery, Query()]
) -> Envelope[DiffView]:
    """What changed from one version to another: chunks that were added, removed or changed, and the words in them."""
    before, after = (app.index.version_chunks(document_id, number) for number in (query.before, query.after))
    return reply(DiffView.of(difference(before, after), offset=query.offset, limit=query.limit))


@router.post(
    "/{document_id}/rollback",
    summary="Roll a document back",
    dependencies=[needs(Scope.WRITE)],
    responses=answers(
        {
            "success": True,
            "message": "Version 2 of document 1 answers searches now",
            "data": {"id": 1, "name": "Flood plan.pdf", "version": {"number": 2}},
        }
    )
    | problems(
        {
            404: ("document_not_found", "version_not_found"),
            409: "version_not_embedded",
            415: "content_type_unsupported",
        }
    ),
)
def roll_back(app: Service, reply: Reply, document_id: DocumentId, body: RollbackBody) -> Envelope[DocumentView]:
    """Let another version answer, at once and for every search; nothing is embedded.

    As long as its source stays as it is, indexing leaves the document at that version, unless it is forced.
    """
    document = app.index.roll_back(document_id, body.version)
    view = DocumentView.of(document, reply.language)
    return reply(view, "document_rolled_back", document_id=document_id, number=body.version)
