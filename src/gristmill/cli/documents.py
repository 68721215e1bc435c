"""``gristmill documents``: what was handed in, and what the index holds of it."""

from typing import Any

import click

from gristmill.cli.command import ROW_ID, command, family
from gristmill.cli.invocation import Invocation
from gristmill.cli.sources import gather, register
from gristmill.cli.views import STATE_COLORS, columns, document_json, version_json, when
from gristmill.errors import NotFound

__all__ = ["documents"]

documents = family(
    "documents",
    summary="List, show, register and delete documents.",
    examples="""
    gristmill documents list --state failed
    gristmill documents delete 17 18
    """,
)


@command(
    parent=documents,
    name="list",
    examples="""
    gristmill documents list --collection handbook
    gristmill documents list --name "*.pdf" --state failed --json
    """,
)
@click.option("--collection", "-c", help="Only documents of this collection.")
@click.option(
    "--state",
    multiple=True,
    type=click.Choice(["registered", "indexed", "failed"]),
    help="Only this state; may be repeated.",
)
@click.option("--name", metavar="GLOB", help="Only documents whose name matches, such as '*.pdf'.")
@click.option("--text", help="Only documents with this in their name or source.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Most to list.")
@click.option(
    "--after",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    help="Only ids above this: the last one of the page before.",
)
def list_documents(
    invocation: Invocation,
    collection: str | None,
    state: tuple[str, ...],
    name: str | None,
    text: str | None,
    limit: int,
    after: int,
) -> None:
    """List documents by id."""
    settings = invocation.settings()
    from gristmill.index.model import DocumentFilter, DocumentState

    where = DocumentFilter(collection=collection, states=[DocumentState(one) for one in state], name=name, text=text)
    with invocation.app(settings) as app:
        if collection is not None:
            app.index.collection(collection)
        found = app.index.documents(where, limit=limit, after=after)
        total = app.index.count_documents(where)
    language = invocation.language
    invocation.answer({"total": total, "documents": [document_json(document, language) for document in found]})
    rows = [
        (
            document.id,
            click.style(document.state.value, fg=STATE_COLORS.get(document.state.value)),
            document.version.chunk_count if document.version else 0,
            document.collection,
            document.name,
        )
        for document in found
    ]
    if not rows:
        invocation.say("cli_no_documents")
        return
    for line in columns(rows, head=("ID", "STATE", "CHUNKS", "COLLECTION", "NAME")):
        invocation.write(line)
    if total > len(rows):
        invocation.say("cli_page_of", shown=len(rows), total=total)


@command(
    parent=documents,
    name="show",
    examples="""
    gristmill documents show 17
    gristmill documents show 17 --json
    """,
)
@click.argument("document_id", type=ROW_ID)
def show_document(invocation: Invocation, document_id: int) -> None:
    """Show one document and the versions that are kept of it."""
    with invocation.app() as app:
        document = app.index.document(document_id)
        versions = app.index.versions(document_id)
    language = invocation.language
    described = document_json(document, language)
    versions_described = [version_json(version, language) for version in versions]
    invocation.answer({**described, "versions": versions_described})
    for label in ("doc_id", "name", "source", "collection", "kind", "state", "title", "media_type", "size", "chunks"):
        if described[label] is not None:
            invocation.write(f"{label:<11} {described[label]}")
    invocation.write(f"{'indexed_at':<11} {when(document.indexed_at)}")
    if described["error"]:
        invocation.write(f"{'error':<11} {click.style(described['error']['message'], fg='red')}")
    for version, text in zip(versions, versions_described, strict=True):
        counts = f"{version.chunk_count} chunks, {version.embedded} embedded, {version.reused} reused"
        invocation.write(f"  version {version.number}  {when(version.published_at)}  {counts}")
        for notice in text["notices"]:
            invocation.write(f"    {click.style(notice['message'], fg='yellow')}")


@command(
    parent=documents,
    name="add",
    examples="""
    gristmill documents add ~/papers --collection papers
    gristmill documents add https://example.com/handbook.html
    """,
)
@click.argument("sources", nargs=-1, required=True, metavar="PATH_OR_URL...")
@click.option("--collection", "-c", default="default", show_default=True, help="Collection to register in.")
def add(invocation: Invocation, sources: tuple[str, ...], collection: str) -> int:
    """Register files, folders and addresses without indexing them."""
    settings = invocation.settings()
    found = gather(sources)
    language = invocation.language
    with invocation.app(settings) as app:
        registered = register(app, found, collection)
    refused: list[dict[str, Any]] = [
        {"name": bad.name, "error": {"code": bad.error.code, "message": bad.error.message(language)}}
        for bad in found.refused
    ]
    invocation.say("cli_registered", count=len(registered), collection=collection)
    for bad in refused:
        invocation.write(f"  {click.style(bad['name'], fg='red')}: {bad['error']['message']}")
    invocation.answer({"documents": [document_json(document, language) for document in registered], "failed": refused})
    return 1 if refused else 0


@command(
    parent=documents,
    name="delete",
    examples="""
    gristmill documents delete 17
    gristmill documents delete 17 18 19 --json
    """,
)
@click.argument("document_ids", type=ROW_ID, nargs=-1, required=True, metavar="ID...")
def delete(invocation: Invocation, document_ids: tuple[int, ...]) -> None:
    """Delete documents from the index; files on disk are left alone.

    If one of the ids does not exist, nothing is deleted.
    """
    with invocation.app() as app:
        known = app.index.documents_by_id(document_ids)
        for document_id in document_ids:
            if document_id not in known:
                raise NotFound("document_not_found", document_id=document_id)
        removed = app.index.delete_documents(document_ids)
    invocation.say("cli_deleted", count=len(removed))
    invocation.answer({"deleted": list(removed)})
