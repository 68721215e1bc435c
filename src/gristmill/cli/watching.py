"""Keeps a collection up to date with folders and files as they change, for ``gristmill index --watch``.

The system says that something has changed (watchfiles); what that was, the task ``index_source`` finds out by itself.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gristmill.cli.follow import follow, worker_at_hand
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import error_json

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.tasks.model import Task

__all__ = ["keep_up_to_date", "settled_changes"]

_GATHER_MILLISECONDS = 400
"""Changes that follow each other so closely are one."""
_LOOK_AGAIN_SECONDS = 60.0
"""Where the system does not tell of changes, as with some network folders, a look finds them."""
_SETTLED_SECONDS = 1.0
_NAMESAKES = 1000
"""Documents whose source begins as that of another file does: ``notes.md`` and ``notes.md.txt``."""
_LONGEST_SECONDS = 30.0
"""A file that never stops growing does not keep the others waiting for longer."""


def keep_up_to_date(
    invocation: Invocation, app: "Gristmill", places: Sequence[Path], *, collection: str, slots: int
) -> None:
    """Index what changes at ``places`` and forget what goes away there, until somebody stops it."""
    invocation.note("cli_watching", names=", ".join(place.name for place in places))
    with worker_at_hand(invocation, app, "documents", slots=slots) as see_to_workers:
        for changed in settled_changes(places):
            for place in sorted(changed):
                if not place.exists() and not place.is_symlink():
                    _forget(invocation, app, place, collection)
                    continue
                root = place if place.is_dir() else place.parent
                payload = {
                    "source": str(place),
                    "root": str(root),
                    "collection": collection,
                    "prune": True,
                    "settle_seconds": _SETTLED_SECONDS / 2,
                }
                task = app.tasks.submit("index_source", payload, collection=collection)
                # Ctrl-C ends the watching; what was begun goes on with the next worker.
                task = follow(invocation, app, task, each_look=see_to_workers, cancels=False)
                _tell(invocation, app, place, task)


def _forget(invocation: Invocation, app: "Gristmill", place: Path, collection: str) -> None:
    """Remove the document of a file that was named and is gone; of a folder, more likely, it is not mounted."""
    from gristmill.index.model import DocumentFilter

    found = app.index.documents(DocumentFilter(collection=collection, source_prefix=str(place)), limit=_NAMESAKES)
    gone = app.index.delete_documents([document.id for document in found if document.source == str(place)])
    if gone:
        _line(invocation, place, {"success": 0, "skipped": 0, "failed": 0, "removed": len(gone)})


def _tell(invocation: Invocation, app: "Gristmill", place: Path, task: "Task") -> None:
    result = task.result or {}
    if task.error is not None:
        invocation.write(f"{click.style(place.name, fg='red')}: {task.error.message(invocation.language)}")
    failed = [item for item in app.tasks.items(task.id) if item["status"] == "failed"]
    if result.get("success", 0) > result.get("skipped", 0) or result.get("removed") or failed:
        _line(invocation, place, result)
    for item in failed:
        error = error_json(item.get("error") or {}, invocation.language)
        invocation.write(f"  {click.style(str(item.get('name')), fg='red')}: {error['message']}")


def _line(invocation: Invocation, place: Path, result: Mapping[str, int]) -> None:
    counts = {
        "indexed": result["success"] - result["skipped"],
        "removed": result["removed"],
        "failed": result["failed"],
    }
    invocation.answer_line({"place": str(place), **counts})
    invocation.say("cli_watched", name=place.name, **counts)


def settled_changes(places: Sequence[Path], *, sleep: Callable[[float], None] = time.sleep) -> Iterator[set[Path]]:
    """The places in which something has changed, whenever what changed has stood still for a second.

    Comes by with all of them at the beginning, for what happened before anybody watched, and every minute.
    """
    from watchfiles import watch

    told_at = float("-inf")
    for changes in watch(
        *{place if place.is_dir() else place.parent for place in places},
        debounce=_GATHER_MILLISECONDS,
        rust_timeout=1000,
        yield_on_timeout=True,
        raise_interrupt=True,
    ):
        changed = {Path(path) for _, path in changes}
        if not changed:
            if time.monotonic() - told_at >= _LOOK_AGAIN_SECONDS:
                told_at = time.monotonic()
                yield set(places)
            continue
        _wait_until_settled(changed, sleep)
        told_at = time.monotonic()
        if concerned := {place for place in places if any(_is_inside(path, place) for path in changed)}:
            yield concerned


def _wait_until_settled(paths: set[Path], sleep: Callable[[float], None]) -> None:
    until = time.monotonic() + _LONGEST_SECONDS
    seen: Mapping[Path, object] = {}
    while (now := {path: _look_of(path) for path in paths}) != seen and time.monotonic() < until:
        seen = now
        sleep(_SETTLED_SECONDS)


def _look_of(path: Path) -> tuple[int, int] | None:
    """Size and time of the last change; None if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _is_inside(path: Path, place: Path) -> bool:
    return path == place or place in path.parents
