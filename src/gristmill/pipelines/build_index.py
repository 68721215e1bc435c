"""Brings image datasets up to date: one child task for each, so that each succeeds, fails or is cancelled alone."""

from collections.abc import Callable
from typing import Any

from gristmill.ids import derived_id
from gristmill.kinds import BuildIndex
from gristmill.steps.image.datasets import check_names
from gristmill.tasks.model import Completed, NewTask, Outcome, Progress, Task, TaskState, Waiting
from gristmill.tasks.ports import TaskContext

__all__ = ["IndexBuilder"]


class IndexBuilder:
    """Handles ``build_index``: first hands out the datasets, then, when all have ended, sums up."""

    def __init__(self, draft: Callable[..., NewTask]) -> None:
        self._draft = draft

    def __call__(self, context: TaskContext, payload: BuildIndex) -> Outcome:
        """One pass of the task; see the class."""
        if context.task.checkpoint is None:
            children = [self._child(context.task, payload, name) for name in check_names(payload.dataset_names)]
            progress = Progress(stage="build", unit="datasets", total=len(children))
            return Waiting(spawn=children, checkpoint={"datasets": len(children)}, progress=progress)
        return _summed_up(context)

    def _child(self, parent: Task, payload: BuildIndex, dataset: str) -> NewTask:
        own = {"dataset": dataset, "distributed": payload.distributed, "force": payload.force, "root": payload.root}
        return self._draft(
            "build_dataset",
            own,
            task_id=derived_id(parent.id, f"dataset/{dataset}"),
            priority=parent.priority,
            parent_id=parent.id,
            collection=dataset,
            user_id=parent.user_id,
        )


def _summed_up(context: TaskContext) -> Completed:
    details: list[dict[str, Any]] = []
    for child in context.children():
        detail: dict[str, Any] = {"dataset": child.payload["dataset"], "task_id": child.id, "status": child.state.value}
        if child.error is not None:
            detail["error"] = {"code": child.error.code, "facts": dict(child.error.facts), "type": child.error.type}
        details.append(detail | dict(child.result or {}))
    done = sum(detail["status"] == TaskState.COMPLETED for detail in details)
    progress = Progress(stage="done", unit="datasets", done=done, failed=len(details) - done, total=len(details))
    images = {name: sum(detail.get(name, 0) for detail in details) for name in ("total", "embedded", "failed")}
    result = {"datasets": details, "success": done, "failed": len(details) - done, "images": images}
    return Completed(result=result, progress=progress)
