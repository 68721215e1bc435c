"""``gristmill index``: registers what was named and sees it through to the end."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.command import command
from gristmill.cli.follow import work_through
from gristmill.cli.invocation import Invocation
from gristmill.cli.sources import Refused, gather, register
from gristmill.cli.views import duration, error_json
from gristmill.cli.watching import keep_up_to_date
from gristmill.worker.attached import worker_listens

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.index.model import Document
    from gristmill.tasks.model import Task

__all__ = ["index"]

_MOST_FAILURES_SHOWN = 50


@dataclass(slots=True)
class _Outcome:
    """What became of everything that was named."""

    collection: str
    total: int
    unchanged: int = 0
    state: str = "completed"
    task_id: str | None = None
    indexed: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    cancelled: int = 0

    @property
    def exit_code(self) -> int:
        """1 unless all is well."""
        return 1 if self.failed or self.cancelled or self.state in ("failed", "cancelled") else 0


@command(
    examples="""
    gristmill index ~/papers notes.md
    gristmill index https://example.com/handbook.html --collection handbook
    gristmill index ~/papers --force --json
    gristmill index ~/papers --watch
    """
)
@click.argument("sources", nargs=-1, required=True, metavar="PATH_OR_URL...")
@click.option("--collection", "-c", default="default", show_default=True, help="Collection to index into.")
@click.option("--force", is_flag=True, help="Index again what has not changed, too.")
@click.option("--wait/--no-wait", default=True, help="Wait for the end, or only queue the work.", show_default=True)
@click.option("--priority", type=click.IntRange(0, 9), default=5, show_default=True, help="9 is most urgent.")
@click.option("--watch", is_flag=True, help="Stay, and follow what is changed, added, moved and deleted, until Ctrl-C.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Documents at a time, if no worker is running yet.")
def index(
    invocation: Invocation,
    sources: tuple[str, ...],
    collection: str,
    *,
    force: bool,
    wait: bool,
    priority: int,
    watch: bool,
    concurrency: int | None,
) -> int:
    """Index files, folders and web pages.

    Works with the service up or without it: where no worker is running, one is started for as long as it takes. What
    has not changed since it was indexed is passed over. Of a folder, all files of a known format are taken, hidden
    ones excepted. The first Ctrl-C cancels the work, the second leaves at once.
    """
    if watch and (not wait or any("://" in source for source in sources)):
        raise click.UsageError("Only files and folders can be watched, and not with --no-wait.")
    began = time.monotonic()
    settings = invocation.settings()
    found = gather(sources)
    with invocation.app(settings) as app:
        documents = register(app, found, collection)
        selection = app.documents.select([document.id for document in documents], force=force)
        outcome = _Outcome(
            collection=collection,
            total=len(documents) + len(found.refused),
            unchanged=len(selection.untouched),
            failed=[
                *(_refusal(refused, invocation.language) for refused in found.refused),
                *(_still_failing(document, invocation.language) for document in selection.refused),
            ],
        )
        if selection.stale:
            ids = [document.id for document in selection.stale]
            task = app.documents.index(ids, force=force, priority=priority, collection=collection)
            outcome.task_id = task.id
            if not wait:
                outcome.state = "queued"
                _tell_queued(invocation, app, task, outcome, len(ids))
                return outcome.exit_code
            slots = min(len(ids), concurrency or _cores(app))
            task = work_through(invocation, app, task, slots=slots)
            _collect(app, task, selection.stale, outcome, invocation.language)
        _tell(invocation, outcome, time.monotonic() - began)
        if watch:
            places = list(dict.fromkeys(Path(source).expanduser().resolve() for source in sources))
            with suppress(KeyboardInterrupt):
                keep_up_to_date(invocation, app, places, collection=collection, slots=concurrency or _cores(app))
            return 0
    return outcome.exit_code


def _cores(app: "Gristmill") -> int:
    from gristmill.worker.foreground import cores

    return app.settings.workers.concurrency or cores()


def _refusal(refused: Refused, language: str) -> dict[str, Any]:
    error = {"code": refused.error.code, "message": refused.error.message(language)}
    return {"doc_id": None, "name": refused.name, "source": refused.name, "error": error}


def _still_failing(document: "Document", language: str) -> dict[str, Any]:
    error = error_json(document.error or {}, language)
    return {"doc_id": document.id, "name": document.name, "source": document.source, "error": error}


def _collect(app: "Gristmill", task: "Task", asked: "Sequence[Document]", outcome: _Outcome, language: str) -> None:
    outcome.state = task.state.value
    documents = app.index.documents_by_id([document.id for document in asked])
    for detail in _details(app, task):
        doc_id = detail["doc_id"]
        document = documents.get(doc_id)
        line: dict[str, Any] = {
            "doc_id": doc_id,
            "name": detail.get("name") or (document.name if document else str(doc_id)),
            "source": document.source if document else None,
        }
        match detail["status"]:
            case "completed":
                counted = {key: detail.get(key, 0) for key in ("chunks", "embedded", "reused", "deleted")}
                notices = [error_json(notice, language) for notice in detail.get("notices", ())]
                outcome.indexed.append({**line, **counted, "notices": notices})
            case "skipped":
                outcome.unchanged += 1
            case "cancelled":
                outcome.cancelled += 1
            case _:
                error = detail.get("error") or {"code": "task_failed", "facts": {}}
                outcome.failed.append({**line, "error": error_json(error, language)})
    known = len(outcome.indexed) + outcome.unchanged + len(outcome.failed)
    if task.error is not None and known < outcome.total:
        error = {"code": task.error.code, "message": task.error.message(language)}
        outcome.failed.append({"doc_id": None, "name": task.kind, "source": None, "error": error})
    elif outcome.state == "cancelled":
        outcome.cancelled = outcome.total - known


def _details(app: "Gristmill", task: "Task") -> list[Mapping[str, Any]]:
    """What the task says of each document, or its children do where it did not get that far."""
    from gristmill.tasks.model import TaskFilter, TaskState

    if task.state is TaskState.COMPLETED:
        return list(app.tasks.items(task.id))
    details: list[Mapping[str, Any]] = []
    before: int | None = None
    while page := app.tasks.find(TaskFilter(parent_id=task.id), limit=1000, before=before):
        before = page[-1].number
        for child in page:
            detail = {"doc_id": child.payload["doc_id"], "status": child.state.value, **(child.result or {})}
            if child.error is not None:
                detail["error"] = {"code": child.error.code, "facts": child.error.facts, "type": child.error.type}
            if child.state.is_final:
                details.append(detail)
    return details


def _tell_queued(invocation: Invocation, app: "Gristmill", task: "Task", outcome: _Outcome, count: int) -> None:
    invocation.say("cli_queued", count=count, task_id=task.id)
    listening = worker_listens(app, task.queue)
    if not listening:
        invocation.note("cli_no_worker")
    invocation.answer(
        {
            "task_id": task.id,
            "state": outcome.state,
            "collection": outcome.collection,
            "queued": count,
            "unchanged": outcome.unchanged,
            "failed": outcome.failed,
            "worker_running": listening,
        }
    )


def _tell(invocation: Invocation, outcome: _Outcome, seconds: float) -> None:
    invocation.answer(
        {
            "task_id": outcome.task_id,
            "state": outcome.state,
            "collection": outcome.collection,
            "total": outcome.total,
            "indexed": outcome.indexed,
            "unchanged": outcome.unchanged,
            "failed": outcome.failed,
            "cancelled": outcome.cancelled,
            "seconds": round(seconds, 3),
        }
    )
    if outcome.indexed:
        invocation.say(
            "cli_indexed",
            count=len(outcome.indexed),
            collection=outcome.collection,
            chunks=sum(line["chunks"] for line in outcome.indexed),
            embedded=sum(line["embedded"] for line in outcome.indexed),
            reused=sum(line["reused"] for line in outcome.indexed),
            deleted=sum(line["deleted"] for line in outcome.indexed),
            duration=duration(seconds),
        )
    if outcome.unchanged:
        invocation.say("cli_unchanged", count=outcome.unchanged)
    for line in outcome.indexed:
        for notice in line["notices"]:
            invocation.write(f"{click.style(line['name'], fg='yellow')}: {notice['message']}")
    if outcome.cancelled:
        invocation.say("cli_cancelled", count=outcome.cancelled)
    if outcome.failed:
        invocation.say("cli_failed", count=len(outcome.failed))
    for line in outcome.failed[:_MOST_FAILURES_SHOWN]:
        invocation.write(f"  {click.style(line['name'], fg='red')}: {line['error']['message']}")
    if len(outcome.failed) > _MOST_FAILURES_SHOWN:
        invocation.say("cli_more", count=len(outcome.failed) - _MOST_FAILURES_SHOWN)
