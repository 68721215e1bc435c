"""``gristmill versions``: what documents were before, and the way back; for one document, and for whole collections."""

from typing import TYPE_CHECKING

import click

from gristmill.cli.command import ROW_ID, command, family
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import columns, snapshot_json, version_json, when

if TYPE_CHECKING:
    from gristmill.index.difference import Change

__all__ = ["versions"]

_COLORS = {"added": "green", "removed": "red"}
_MARKS = {"added": "+", "removed": "-", "changed": "~"}

versions = family(
    "versions",
    summary="List, compare and roll back versions; snapshots of collections.",
    examples="""
    gristmill versions list 17
    gristmill versions rollback 17 2
    gristmill versions snapshot handbook "before the move"
    """,
)


@command(
    parent=versions,
    name="list",
    examples="""
    gristmill versions list 17
    gristmill versions list 17 --json
    """,
)
@click.argument("document_id", type=ROW_ID)
def list_versions(invocation: Invocation, document_id: int) -> None:
    """List the versions that are kept of a document, newest first; the one with a star answers searches."""
    with invocation.app() as app:
        document = app.index.document(document_id)
        found = app.index.versions(document_id)
    current = document.version.number if document.version else None
    described = [
        {**version_json(version, invocation.language), "is_current": version.number == current} for version in found
    ]
    invocation.answer({"versions": described})
    if not found:
        invocation.say("cli_no_versions", document_id=document_id)
        return
    rows = [
        (
            f"{version.number}{'*' if version.number == current else ''}",
            version.chunk_count,
            version.embedded,
            version.reused,
            version.deleted,
            when(version.published_at),
        )
        for version in found
    ]
    for line in columns(rows, head=("VERSION", "CHUNKS", "EMBEDDED", "REUSED", "DELETED", "PUBLISHED")):
        invocation.write(line)


@command(
    parent=versions,
    name="diff",
    examples="""
    gristmill versions diff 17 1 2
    gristmill versions diff 17 1 2 --json
    """,
)
@click.argument("document_id", type=ROW_ID)
@click.argument("before", type=ROW_ID)
@click.argument("after", type=ROW_ID)
def diff(invocation: Invocation, document_id: int, before: int, after: int) -> None:
    """Show what changed in a document from one version to another."""
    with invocation.app() as app:
        from gristmill.index.difference import ChangeKind, difference, stretches

        old, new = (app.index.version_chunks(document_id, number) for number in (before, after))
    found = difference(old, new)
    counts = {kind.value: found.count(kind) for kind in ChangeKind} | {"unchanged": found.unchanged}
    invocation.answer(
        {
            **counts,
            "changes": [
                {
                    "kind": change.kind.value,
                    "before": change.before and change.before.position,
                    "after": change.after and change.after.position,
                    "text": [{"kind": stretch.kind.value, "text": stretch.text} for stretch in stretches(change)],
                }
                for change in found.changes
            ],
        }
    )
    invocation.write(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    for change in found.changes:
        invocation.write(f"{_MARKS[change.kind.value]} {_words(change)}")


def _words(change: "Change") -> str:
    from gristmill.index.difference import stretches

    return "".join(
        click.style(f"[{_MARKS[stretch.kind.value]}{stretch.text}]", fg=_COLORS[stretch.kind.value])
        if stretch.kind.value in _COLORS and change.kind.value == "changed"
        else click.style(stretch.text, fg=_COLORS.get(stretch.kind.value))
        for stretch in stretches(change)
    )


@command(
    parent=versions,
    name="rollback",
    examples="""
    gristmill versions rollback 17 2
    gristmill versions rollback 17 2 --json
    """,
)
@click.argument("document_id", type=ROW_ID)
@click.argument("number", type=ROW_ID)
def rollback(invocation: Invocation, document_id: int, number: int) -> None:
    """Let another version of a document answer searches, at once; nothing is embedded.

    As long as its source stays as it is, indexing leaves the document at that, unless it is forced.
    """
    with invocation.app() as app:
        app.index.roll_back(document_id, number)
    invocation.say("document_rolled_back", document_id=document_id, number=number)
    invocation.answer({"doc_id": document_id, "version": number})


@command(
    parent=versions,
    name="snapshot",
    examples="""
    gristmill versions snapshot handbook "before the move"
    gristmill versions snapshot handbook nightly --json
    """,
)
@click.argument("collection")
@click.argument("name")
def snapshot(invocation: Invocation, collection: str, name: str) -> None:
    """Keep what a collection shows now, with its settings, under a name."""
    with invocation.app() as app:
        taken = app.index.take_snapshot(collection, name)
    invocation.say("snapshot_taken", snapshot_id=taken.id, collection=collection)
    invocation.answer(snapshot_json(taken))


@command(
    parent=versions,
    name="snapshots",
    examples="""
    gristmill versions snapshots handbook
    gristmill versions snapshots handbook --json
    """,
)
@click.argument("collection")
def list_snapshots(invocation: Invocation, collection: str) -> None:
    """List the snapshots of a collection, newest first."""
    with invocation.app() as app:
        found = app.index.snapshots(collection)
    invocation.answer({"snapshots": [snapshot_json(one) for one in found]})
    if not found:
        invocation.say("cli_no_snapshots", collection=collection)
        return
    rows = [
        (
            one.id,
            one.document_count,
            one.chunk_count,
            one.space.embedder,
            when(one.created_at),
            f"(before restoring) {one.name}" if one.is_automatic else one.name,
        )
        for one in found
    ]
    for line in columns(rows, head=("ID", "DOCUMENTS", "CHUNKS", "EMBEDDER", "TAKEN", "NAME")):
        invocation.write(line)


@command(
    parent=versions,
    name="restore",
    examples="""
    gristmill versions restore handbook 3
    gristmill versions restore handbook 3 --json
    """,
)
@click.argument("collection")
@click.argument("snapshot_id", type=ROW_ID)
def restore(invocation: Invocation, collection: str, snapshot_id: int) -> None:
    """Let a collection show what it showed in a snapshot, at once; nothing is embedded.

    Documents that were deleted since come back, those that came since are removed; this can be undone.
    """
    with invocation.app() as app:
        restored = app.index.restore(collection, snapshot_id, keep_versions=app.settings.index.keep_versions)
    counts = {"changed": restored.changed, "returned": restored.returned, "removed": restored.removed}
    before = restored.before.id
    invocation.say("cli_restored", collection=collection, snapshot_id=snapshot_id, before=before, **counts)
    invocation.answer({"collection": collection, "restored": snapshot_id, "before": before, **counts})


@command(
    parent=versions,
    name="forget",
    examples="""
    gristmill versions forget handbook 3
    gristmill versions forget handbook 3 --json
    """,
)
@click.argument("collection")
@click.argument("snapshot_id", type=ROW_ID)
def forget(invocation: Invocation, collection: str, snapshot_id: int) -> None:
    """Give up a snapshot, and the versions that were kept for its sake alone."""
    with invocation.app() as app:
        app.index.forget_snapshot(collection, snapshot_id, keep_versions=app.settings.index.keep_versions)
    invocation.say("snapshot_forgotten", snapshot_id=snapshot_id, collection=collection)
    invocation.answer({"collection": collection, "forgotten": snapshot_id})
