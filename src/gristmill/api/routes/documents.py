"""Documents: hand in, look, delete."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query

from gristmill.api.auth import needs
from gristmill.api.bodies import Sent, SentBody, StrictRoute
from gristmill.api.cursors import number_of
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers, form_or_json, problems
from gristmill.api.parameters import DocumentId
from gristmill.api.schemas.documents import (
    DeletedDocument,
    DocumentPage,
    DocumentPageQuery,
    DocumentView,
    FailedItem,
    PathsBody,
    Registered,
    UploadFields,
)
from gristmill.api.validated import validated
from gristmill.app import Gristmill
from gristmill.app.documents import check_url, upload_name
from gristmill.db.keys import Scope
from gristmill.errors import GristmillError, InvalidInput, error_from
from gristmill.index.model import Document

__all__ = ["router"]

router = APIRouter(prefix="/api/documents", tags=["documents"], route_class=StrictRoute)

_Failure = tuple[str, GristmillError]

_VIEW = {
    "id": 1,
    "collection": "default",
    "name": "Flood plan.pdf",
    "source": "upload:Flood plan.pdf",
    "origin": "upload",
    "material": "text",
    "state": "registered",
    "media_type": None,
    "title": None,
    "size": 48213,
    "created_at": "2026-05-04T12:00:00.000Z",
    "updated_at": "2026-05-04T12:00:00.000Z",
    "indexed_at": None,
    "version": None,
    "error": None,
}
_REGISTERED = {
    "success": True,
    "message": "Registered 1 documents, 0 failed",
    "data": {"documents": [_VIEW], "failed": []},
}
_UPLOAD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["files"],
    "properties": {
        "files": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "One or many files; the name of the field does not matter.",
        },
        "collection": {"type": "string", "default": "default"},
    },
}


@router.post(
    "",
    status_code=201,
    summary="Register documents",
    dependencies=[needs(Scope.WRITE)],
    openapi_extra=form_or_json(form=_UPLOAD_SCHEMA, json=PathsBody.model_json_schema()),
    responses=answers(_REGISTERED, status=201, description="Registered; nothing is indexed yet")
    | problems(
        {
            400: ("body_unreadable", "body_not_json"),
            403: ("scope_missing", "path_outside_roots"),
            413: ("file_too_large", "too_many_files", "body_too_large"),
            415: "content_type_unsupported",
            422: ("file_missing", "list_empty", "path_not_found", "url_invalid", "collection_name_invalid"),
        }
    ),
)
def register_documents(app: Service, reply: Reply, sent: SentBody) -> Envelope[Registered]:
    """Register files as `multipart/form-data`, or paths and URLs as JSON.

    A document that is registered again, under the same name, path or URL, keeps its id. What cannot be registered is
    listed under `failed` and does not stop the rest; the request fails only if nothing at all was registered.
    """
    registered, failures = _register_files(app, sent) if sent.is_form else _register_named(app, sent)
    failed = [FailedItem(name=name, code=error.code, message=error.message(reply.language)) for name, error in failures]
    if failures and not registered:
        first = failures[0][1]
        facts = {**first.facts, "failed": [item.model_dump() for item in failed]}
        raise error_from(type(first).__name__, first.code, facts)
    documents = [DocumentView.of(document, reply.language) for document in registered]
    return reply(
        Registered(documents=documents, failed=failed),
        "documents_registered",
        count=len(documents),
        failed=len(failed),
    )


def _register_files(app: Gristmill, sent: Sent) -> tuple[list[Document], list[_Failure]]:
    if not sent.files:
        for name in set(sent.values) - set(UploadFields.model_fields):
            raise InvalidInput("not_a_file", field=name)
        raise InvalidInput("file_missing", field="files")
    fields = validated(UploadFields, sent.values)
    app.documents.collection(fields.collection)
    documents, failures = [], []
    for _, part in sent.files:
        try:
            document = app.documents.register_upload(
                part.file, filename=part.filename, collection=fields.collection, declared_type=part.content_type
            )
        except GristmillError as error:
            failures.append((upload_name(part.filename), error))
        else:
            documents.append(document)
    return documents, failures


def _register_named(app: Gristmill, sent: Sent) -> tuple[list[Document], list[_Failure]]:
    body = validated(PathsBody, sent.values)
    if not body.paths and not body.urls:
        raise InvalidInput("list_empty", field="paths")
    app.documents.collection(body.collection)
    failures: list[_Failure] = []
    paths = list(_accepted(body.paths, lambda path: app.documents.check_paths([path]), failures))
    urls = list(_accepted(body.urls, check_url, failures))
    documents: list[Document] = []
    if paths:
        documents += app.documents.register_paths(paths, collection=body.collection)
    if urls:
        documents += app.documents.register_urls(urls, collection=body.collection)
    return documents, failures


def _accepted(names: list[str], check: Any, failures: list[_Failure]) -> Iterator[str]:
    for name in names:
        try:
            check(name)
        except GristmillError as error:
            failures.append((name[:200], error))
        else:
            yield name


@router.get(
    "",
    summary="List documents",
    dependencies=[needs(Scope.READ)],
    responses=answers(
        {"success": True, "message": "OK", "data": {"documents": [_VIEW], "total": 1, "next_cursor": None}}
    )
    | problems({422: ("cursor_invalid", "field_not_a_choice", "field_unknown")}),
)
def list_documents(app: Service, reply: Reply, query: Annotated[DocumentPageQuery, Query()]) -> Envelope[DocumentPage]:
    """A page of documents by id, with what the index holds of each."""
    where = query.to_filter()
    found = app.index.documents(where, limit=query.limit + 1, after=number_of(query.cursor) or 0)
    page = found[: query.limit]
    return reply(
        DocumentPage(
            documents=[DocumentView.of(document, reply.language) for document in page],
            total=app.index.count_documents(where),
            next_cursor=str(page[-1].id) if len(found) > len(page) else None,
        )
    )


@router.get(
    "/{document_id}",
    summary="Look at a document",
    dependencies=[needs(Scope.READ)],
    responses=answers({"success": True, "message": "OK", "data": _VIEW}) | problems({404: "document_not_found"}),
)
def get_document(app: Service, reply: Reply, document_id: DocumentId) -> Envelope[DocumentView]:
    """One document, with the version that answers searches and why its latest attempt failed, if it did."""
    return reply(DocumentView.of(app.index.document(document_id), reply.language))


@router.delete(
    "/{document_id}",
    summary="Delete a document",
    dependencies=[needs(Scope.WRITE)],
    responses=answers({"success": True, "message": "Deleted document 1", "data": {"deleted": [1]}})
    | problems({404: "document_not_found"}),
)
def delete_document(app: Service, reply: Reply, document_id: DocumentId) -> Envelope[DeletedDocument]:
    """Remove a document with all its versions and chunks, at once for every search."""
    app.index.document(document_id)
    deleted = app.index.delete_documents([document_id])
    return reply(DeletedDocument(deleted=deleted), "document_deleted", document_id=document_id)
