"""What the sweeper tidies beyond the task rows: unpublished versions, unused uploads and thumbnails, temporary files of the dead."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.clock import Clock
from gristmill.tasks.model import TaskFilter, TaskState
from gristmill.tasks.ports import TaskStore
from gristmill.tasks.sweeper import Duty

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["tidying", "tidying_duties"]

_ABANDONED_SECONDS = 48 * 3600
"""No attempt lives longer than a day, so what is unpublished and older than this is nobody's."""

_TOMBSTONE_SECONDS = 24 * 3600
"""How long a deleted document is remembered, for the caches of processes that have not searched since."""

_UPLOAD_GRACE_SECONDS = 3600
"""Far longer than the moment between storing an upload, or a thumbnail, and the row that refers to it."""

_TIDY_SECONDS = 600.0
"""Looking through folders is dear, and nothing here is urgent."""

_MAINTAIN_SECONDS = 60.0

_MANY = 1000


def tidying_duties(app: "Gristmill") -> tuple[Duty, ...]:
    """The duties, each carried out seldom: none is urgent."""
    return (
        *(Duty(name, _seldom(duty, app.clock)) for name, duty in tidying(app).items()),
        Duty("index.maintained", _seldom(app.index.maintain, app.clock, seconds=_MAINTAIN_SECONDS)),
    )


def tidying(app: "Gristmill") -> Mapping[str, Callable[[], int]]:
    """What is nobody's any more, by the name of the duty that removes it whenever it is called."""
    store, index, clock = app.store, app.index, app.clock

    def purge_versions() -> int:
        return index.purge_abandoned(started_before=clock.now() - _ABANDONED_SECONDS * 1_000_000)

    def purge_deleted() -> int:
        return index.purge_deleted(deleted_before=clock.now() - _TOMBSTONE_SECONDS * 1_000_000)

    def purge_blobs() -> int:
        return app.blobs.purge(
            in_use=lambda ids: index.known_blobs(ids) | _waiting_uploads(store, ids),
            stored_before=clock.now() - _UPLOAD_GRACE_SECONDS * 1_000_000,
        )

    def purge_thumbnails() -> int:
        stored_before = clock.now() - _UPLOAD_GRACE_SECONDS * 1_000_000
        return app.thumbnails.purge(in_use=index.known_contents, stored_before=stored_before)

    def purge_temp() -> int:
        return _purge_temp(store, app.paths.temp)

    return {
        "versions.purged": purge_versions,
        "deletions.purged": purge_deleted,
        "uploads.purged": purge_blobs,
        "thumbnails.purged": purge_thumbnails,
        "temp.purged": purge_temp,
    }


def _seldom(duty: Callable[[], int], clock: Clock, *, seconds: float = _TIDY_SECONDS) -> Callable[[], int]:
    next_at = float("-inf")

    def run() -> int:
        nonlocal next_at
        if clock.monotonic() < next_at:
            return 0
        next_at = clock.monotonic() + seconds
        return duty()

    return run


def _waiting_uploads(store: TaskStore, blob_ids: Sequence[str]) -> set[str]:
    """Those uploads that a task which has not ended will still read."""
    wanted = set(blob_ids)
    found: set[str] = set()
    where = TaskFilter(kinds=["process_document"], states=[TaskState.PENDING, TaskState.PROCESSING])
    before: int | None = None
    while page := store.find(where, limit=_MANY, before=before):
        found |= wanted & {task.payload.get("blob_id") for task in page}
        before = page[-1].number
    return found


def _purge_temp(store: TaskStore, temp: Path) -> int:
    """Remove the directories of attempts that have ended; their names are ``<task id>-<lease>``."""
    left = {path.name: path for path in temp.iterdir() if path.is_dir()} if temp.is_dir() else {}
    owners = {name: name.rpartition("-") for name in left}
    tasks = {task.id: task for task in store.get_many([task_id for task_id, _, _ in owners.values()])}
    removed = 0
    for name, (task_id, _, lease) in owners.items():
        task = tasks.get(task_id)
        if task is None or task.state is not TaskState.PROCESSING or str(task.lease) != lease:
            shutil.rmtree(left[name], ignore_errors=True)
            removed += 1
    return removed
