"""Image datasets named on the command line: which folders are meant, how their builds ended, and the text in them."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.cli.follow import follow
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import error_json
from gristmill.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from gristmill.app import Gristmill
    from gristmill.app.datasets import Build, DatasetBuild
    from gristmill.tasks.model import Task

__all__ = ["Folders", "described", "find_folders", "read_texts"]


@dataclass(frozen=True, slots=True)
class Folders:
    """Datasets that lie in one folder, so that one build takes them all."""

    root: Path | None
    """None for the one that is configured."""
    names: list[str]


def find_folders(app: "Gristmill", named: Sequence[str]) -> list[Folders]:
    """What ``named`` means: a folder here, or else one in ``images.root`` of that name; each once.

    :class:`InvalidInput` (``dataset_folder_missing``, ``dataset_named_twice``, ``dataset_name_invalid``),
    :class:`NotFound` (``no_images_found``) of a folder without images that was never built.
    """
    from gristmill.steps.image.datasets import check_names
    from gristmill.steps.image.formats import walk_images

    places: dict[str, tuple[Path, Path | None]] = {}
    for given in named:
        place, root = _place(app, given)
        check_names([place.name])
        known, _ = places.setdefault(place.name, (place, root))
        if known != place:
            raise InvalidInput("dataset_named_twice", field="DIR", value=place.name, one=str(known), other=str(place))
        # Of a folder that was built and is empty now, the build knows what to say.
        if not _is_built(app, place.name) and next(walk_images(place), None) is None:
            raise NotFound("no_images_found", name=place.name)
    folders: dict[Path | None, list[str]] = {}
    for name, (_, root) in places.items():
        folders.setdefault(root, []).append(name)
    return [Folders(root, names) for root, names in folders.items()]


def _place(app: "Gristmill", given: str) -> tuple[Path, Path | None]:
    """The folder that is meant, links resolved, and the root to build it under."""
    with suppress(OSError, RuntimeError):
        path = Path(given).expanduser()
        if path.is_dir():
            # A link that was named is followed: its owner is the one who asks.
            real = Path(os.path.realpath(path))
            return real, real.parent
        root = app.datasets.root
        if root is not None and given in app.datasets.names():
            return Path(os.path.realpath(root)) / given, None
    raise InvalidInput(
        "dataset_folder_missing", field="DIR", value=given, known=", ".join(app.datasets.names()[:20]) or "-"
    )


def _is_built(app: "Gristmill", name: str) -> bool:
    with suppress(NotFound):
        return app.index.collection(name).document_count > 0
    return False


def described(app: "Gristmill", build: "Build", language: str) -> list[dict[str, Any]]:
    """What became of each dataset of a build, as JSON values."""
    parts = {part.dataset: part for part in build.datasets}
    return [_dataset(app, build, name, parts.get(name), language) for name in build.task.payload["dataset_names"]]


def _dataset(
    app: "Gristmill", build: "Build", name: str, part: "DatasetBuild | None", language: str
) -> dict[str, Any]:
    task = build.task if part is None else part.task
    # A dataset may take a moment longer to notice that its build was cancelled.
    state = task.state if task.state.is_final else build.task.state
    # Without a result there is what had been reached; without a part, nothing was begun.
    counts = {count: 0 for count in ("embedded", "reused", "skipped", "failed", "removed", "total")}
    if part is not None:
        reached = part.task.progress
        counts |= {"embedded": reached.done, "skipped": reached.skipped, "failed": reached.failed}
        counts["total"] = reached.total or 0
        counts |= {count: value for count, value in (part.task.result or {}).items() if count in counts}
    return {
        "dataset": name,
        "task_id": task.id,
        "build_task_id": build.task.id,
        "state": state.value,
        **counts,
        "computed_by": {} if part is None else dict(part.computed_by),
        "error": None if task.error is None else _error(task, language),
        "failures": [] if part is None else _failures(app, part, language),
        "message": app.datasets.message(
            name, state, {**counts, "done": counts["embedded"] + counts["reused"]}, build.mode, language
        ),
    }


def _error(task: "Task", language: str) -> dict[str, str]:
    assert task.error is not None
    return {"code": task.error.code, "message": task.error.message(language)}


def _failures(app: "Gristmill", part: "DatasetBuild", language: str) -> list[dict[str, Any]]:
    """All images that failed, also those that could not be registered; before the end, the first that are known."""
    if part.task.result is not None:
        return [_failure(item, item.get("error"), language) for item in app.tasks.items(part.task.id)]
    return [_failure({"doc_id": one.id, "name": one.name}, one.error, language) for one in part.failures]


def _failure(item: Mapping[str, Any], error: Mapping[str, Any] | None, language: str) -> dict[str, Any]:
    return {"doc_id": item.get("doc_id"), "name": item["name"], "error": error_json(error or {}, language)}


def read_texts(
    invocation: Invocation, app: "Gristmill", builds: "Sequence[Build]", *, each_look: "Callable[[], None] | None"
) -> dict[str, Any] | None:
    """See to the text in the images of ``builds``, which is read when they are found by their looks already.

    Waits for it with ``each_look``, unless interrupted; without it, says that others read it. None if there is none to
    read.
    """
    tasks = _texts(app, builds)
    if not tasks:
        return None
    images = sum(len(task.payload["doc_ids"]) for task in tasks)
    if each_look is None:
        invocation.note("cli_text_later", count=images)
    else:
        invocation.note("cli_text_now", count=images)
        with suppress(KeyboardInterrupt):
            tasks = [follow(invocation, app, task, each_look=each_look, cancels=False) for task in tasks]
        tasks = [app.tasks.get(task.id) for task in tasks]
    results = [task.result or {} for task in tasks]
    return {
        "images": images,
        "task_ids": [task.id for task in tasks],
        "is_over": all(task.state.is_final for task in tasks),
        **{name: sum(result.get(name, 0) for result in results) for name in ("with_text", "without", "failed")},
    }


def _texts(app: "Gristmill", builds: "Sequence[Build]") -> "list[Task]":
    from gristmill.tasks.model import TaskFilter

    found = [
        task
        for build in builds
        for part in build.datasets
        for task in app.tasks.find(
            TaskFilter(kinds=["read_text"], collection=part.dataset, created_after=part.task.created_at), limit=1000
        )
        # What a task was divided into is counted by it.
        if task.parent_id is None
    ]
    return sorted(found, key=lambda task: task.number)
