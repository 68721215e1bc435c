"""``gristmill collections``: the named sets that are searched, and the models behind them."""

import sys

import click

from gristmill.cli.command import command, family
from gristmill.cli.follow import work_through
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import collection_json, columns, task_json

__all__ = ["collections"]

collections = family(
    "collections",
    summary="List, show, change and delete collections.",
    examples="""
    gristmill collections list
    gristmill collections embedder handbook quality
    """,
)


@command(
    parent=collections,
    name="list",
    examples="""
    gristmill collections list
    gristmill collections list --json
    """,
)
def list_collections(invocation: Invocation) -> None:
    """List all collections."""
    with invocation.app() as app:
        found = app.index.collections()
    invocation.answer({"collections": [collection_json(collection) for collection in found]})
    if not found:
        invocation.say("cli_no_collections")
        return
    rows = [
        (collection.name, collection.document_count, collection.chunk_count, collection.space.embedder)
        for collection in found
    ]
    for line in columns(rows, head=("NAME", "DOCUMENTS", "CHUNKS", "EMBEDDER")):
        invocation.write(line)


@command(
    parent=collections,
    name="show",
    examples="""
    gristmill collections show handbook
    gristmill collections show handbook --json
    """,
)
@click.argument("name")
def show_collection(invocation: Invocation, name: str) -> None:
    """Show one collection."""
    with invocation.app() as app:
        described = collection_json(app.index.collection(name))
    invocation.answer(described)
    for label, value in described.items():
        invocation.write(f"{label:<13} {value}")


@command(
    parent=collections,
    name="embedder",
    examples="""
    gristmill collections embedder handbook quality
    gristmill collections embedder handbook http --no-wait
    """,
)
@click.argument("name")
@click.argument("embedder")
@click.option("--wait/--no-wait", default=True, help="Wait for the end, or only queue the work.", show_default=True)
def embedder(invocation: Invocation, name: str, embedder: str, *, wait: bool) -> int:
    """Embed a collection again with another embedder.

    The old vectors answer searches until the new ones are complete.
    """
    with invocation.app() as app:
        task = app.documents.reembed(name, embedder)
        if wait:
            task = work_through(invocation, app, task, slots=1)
    invocation.answer(task_json(task, invocation.language))
    if not wait:
        invocation.say("cli_task_queued", task_id=task.id)
        return 0
    if task.state.value == "completed":
        invocation.say("cli_reembedded", collection=name, embedder=embedder)
        return 0
    reason = task.error.message(invocation.language) if task.error else task.state.value
    invocation.note("cli_task_ended_badly", task_id=task.id, reason=reason)
    return 1


@command(
    parent=collections,
    name="delete",
    examples="""
    gristmill collections delete handbook
    gristmill collections delete handbook --yes --json
    """,
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can answer.")
def delete_collection(invocation: Invocation, name: str, *, yes: bool) -> None:
    """Delete a collection with all its documents; files on disk are left alone."""
    with invocation.app() as app:
        collection = app.index.collection(name)
        if not yes:
            if invocation.json or not sys.stdin.isatty():
                raise click.UsageError("Deleting a collection needs --yes where nobody can be asked.")
            question = invocation.text("cli_ask_delete", collection=name, count=collection.document_count)
            click.confirm(question, abort=True, err=True)
        count = app.index.delete_collection(name)
    invocation.say("cli_collection_deleted", collection=name, count=count)
    invocation.answer({"collection": name, "deleted_documents": count})
