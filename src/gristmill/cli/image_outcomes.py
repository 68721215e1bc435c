"""How builds of image datasets ended, and the text in their images, which is read afterwards."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gristmill.cli.follow import follow
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import error_json

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.app.datasets import Build, DatasetBuild
    from gristmill.tasks.model import Task

__all__ = ["described", "read_texts"]


def described(app: "Gristmill", build: "Build", language: str) -> list[dict[str, Any]]:
    """What became of each dataset of a build, as JSON values."""
    parts = {part.dataset: part for part in build.datasets}
    return [_dataset(app, build, name, parts.get(name), language) for name in build.task.payload["dataset_names"]]


def _dataset(app: "Gristmill", build: "Build", name: str, part: "DatasetBuild | None", language: str) -> dict[str, Any]:
    task = build.task if part is None else part.task
    result = None if part is None else part.task.result
    # A dataset may take a moment longer to notice that its build was cancelled.
    state = task.state if task.state.is_final else build.task.state
    # Without a result there is what had been reached; without a part, nothing was begun.
    counts = dict.fromkeys(("embedded", "reused", "skipped", "failed", "removed", "total"), 0)
    if part is not None:
        reached = part.task.progress
        counts |= {"embedded": reached.done, "skipped": reached.skipped, "failed": reached.failed}
        counts["total"] = reached.total or 0
        counts |= {count: value for count, value in (result or {}).items() if count in counts}
    stands = {**counts, "done": counts["embedded"] + counts["reused"]}
    return {
        "dataset": name,
        "task_id": task.id,
        "build_task_id": build.task.id,
        "state": state.value,
        **counts,
        "computed_by": {} if part is None else dict(part.computed_by),
        "error": None if task.error is None else _error(task, language),
        "failures": [] if part is None else _failures(app, part, language),
        "message": app.datasets.message(name, state, stands, build.mode, result, language),
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
    invocation: Invocation,
    app: "Gristmill",
    builds: "Sequence[Build]",
    *,
    each_look: Callable[[], None] | None,
    by_others: bool,
) -> dict[str, Any] | None:
    """See to the text in the images of ``builds``, which is read when they are found by their looks already.

    Waits for it with ``each_look``, unless interrupted; without it, says who reads it: workers that run, ``by_others``,
    or the next one. None if there is none to read.
    """
    tasks = _texts(app, builds)
    if not tasks:
        return None
    images = sum(len(task.payload["doc_ids"]) for task in tasks)
    if each_look is None:
        invocation.note("cli_text_meanwhile" if by_others else "cli_text_later", count=images)
    else:
        invocation.note("cli_text_now", count=images)
        with suppress(KeyboardInterrupt):
            for task in tasks:
                follow(invocation, app, task, each_look=each_look, cancels=False)
        tasks = [app.tasks.get(task.id) for task in tasks]
    results = [task.result or {} for task in tasks]
    return {
        "images": images,
        "task_ids": [task.id for task in tasks],
        "is_over": all(task.state.is_final for task in tasks),
        **{name: sum(result.get(name, 0) for result in results) for name in ("with_text", "without", "failed")},
    }


def _texts(app: "Gristmill", builds: "Sequence[Build]") -> "list[Task]":
    from gristmill.kinds import text_pass_id

    return app.tasks.get_many([text_pass_id(part.task.id) for build in builds for part in build.datasets])
