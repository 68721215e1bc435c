"""Indexes many documents: one child task for each that needs it, so that each succeeds, fails or is killed alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gristmill.errors import NotFound
from gristmill.ids import derived_id
from gristmill.index.model import Document
from gristmill.index.ports import IndexStore
from gristmill.index.recipe import select_stale
from gristmill.kinds import BatchIndex
from gristmill.pipelines.index_document import unchanged
from gristmill.tasks.model import Completed, NewTask, Outcome, Progress, Task, TaskError, TaskState, Waiting
from gristmill.tasks.ports import TaskContext

__all__ = ["BatchIndexer"]


class BatchIndexer:
    """Handles ``batch_index``: first hands out children, then, when all have ended, sums up."""

    def __init__(self, index: IndexStore, draft: Callable[..., NewTask]) -> None:
        self._index = index
        self._draft = draft

    def __call__(self, context: TaskContext, payload: BatchIndex) -> Outcome:
        """One pass of the task; see the class."""
        if context.task.checkpoint is None:
            return self._hand_out(context, payload)
        return self._sum_up(context, payload, context.task.checkpoint["settled"])

    def _hand_out(self, context: TaskContext, payload: BatchIndex) -> Outcome:
        doc_ids = list(dict.fromkeys(payload.doc_ids))
        selection = select_stale(self._index, doc_ids, force=payload.force)
        settled: dict[str, Mapping[str, Any]] = {
            str(document.id): unchanged(document) for document in selection.untouched
        }
        settled |= {str(document.id): _refused(document) for document in selection.refused}
        stale = {document.id for document in selection.stale}
        missing = [doc_id for doc_id in doc_ids if doc_id not in stale and str(doc_id) not in settled]
        settled |= {str(doc_id): _missing(doc_id) for doc_id in missing}
        progress = Progress(
            stage="index",
            unit="documents",
            failed=len(missing) + len(selection.refused),
            skipped=len(selection.untouched),
            total=len(doc_ids),
        )
        if not stale:
            return self._result(doc_ids, settled, progress)
        children = self._children(context.task, [doc_id for doc_id in doc_ids if doc_id in stale], payload)
        return Waiting(spawn=children, checkpoint={"settled": settled}, progress=progress)

    def _children(self, parent: Task, doc_ids: Sequence[int], payload: BatchIndex) -> list[NewTask]:
        shared = {"user_id": payload.user_id, "force": payload.force}
        # Checked once: they differ in a number.
        first = self._draft(
            "index_document",
            {"doc_id": doc_ids[0], **shared},
            priority=parent.priority,
            parent_id=parent.id,
            collection=parent.collection,
            user_id=payload.user_id,
        )
        return [
            replace(first, id=derived_id(parent.id, f"document/{doc_id}"), payload={"doc_id": doc_id, **shared})
            for doc_id in doc_ids
        ]

    def _sum_up(self, context: TaskContext, payload: BatchIndex, settled: Mapping[str, Mapping[str, Any]]) -> Outcome:
        children = context.children()
        # Those that completed say in their results what they are called.
        unnamed = [child.payload["doc_id"] for child in children if "name" not in (child.result or {})]
        names = self._index.documents_by_id(unnamed)
        details = dict(settled)
        failures: dict[int, TaskError] = {}
        for child in children:
            doc_id = child.payload["doc_id"]
            detail = _detail(child)
            if doc_id in names:
                detail["name"] = names[doc_id].name
                recorded = names[doc_id].error
                if child.error is not None and (recorded is None or recorded.get("code") != child.error.code):
                    failures[doc_id] = child.error
            details[str(doc_id)] = detail

        def record_failures(transaction: Any) -> None:
            # The document's own task records what it can; one whose process died or ran out of time could not.
            for doc_id, error in failures.items():
                stored = {"code": error.code, "facts": dict(error.facts), "type": error.type}
                self._index.fail(transaction, doc_id, stored)

        return self._result(
            list(dict.fromkeys(payload.doc_ids)), details, context.task.progress, effect=record_failures
        )

    @staticmethod
    def _result(
        doc_ids: Sequence[int],
        details: Mapping[str, Mapping[str, Any]],
        progress: Progress,
        effect: Callable[[Any], None] | None = None,
    ) -> Completed:
        items = [details[str(doc_id)] for doc_id in doc_ids if str(doc_id) in details]
        count = {
            status: sum(item["status"] == status for item in items)
            for status in ("completed", "skipped", "failed", "cancelled")
        }
        skipped, failed = count["skipped"], count["failed"] + count["cancelled"]
        return Completed(
            result={
                "total": len(items),
                "success": count["completed"] + skipped,
                "failed": failed,
                "skipped": skipped,
            },
            items=items,
            effect=effect,
            progress=Progress(
                stage="done",
                unit=progress.unit or "documents",
                done=count["completed"],
                failed=failed,
                skipped=skipped,
                total=len(items),
            ),
        )


def _refused(document: Document) -> dict[str, Any]:
    error = document.error or {}
    return {
        "doc_id": document.id,
        "name": document.name,
        "status": "failed",
        "error": {key: error.get(key) for key in ("code", "facts", "type")},
    }


def _missing(doc_id: int) -> dict[str, Any]:
    error = TaskError.of(NotFound("document_not_found", document_id=doc_id))
    return {"doc_id": doc_id, "status": "failed", "error": _error(error)}


def _detail(child: Task) -> dict[str, Any]:
    detail: dict[str, Any] = {"doc_id": child.payload["doc_id"], "status": child.state.value, "task_id": child.id}
    if child.state is TaskState.COMPLETED:
        return detail | dict(child.result or {})
    if child.error is not None:
        detail["error"] = _error(child.error)
    return detail


def _error(error: TaskError) -> dict[str, Any]:
    return {"code": error.code, "facts": dict(error.facts), "type": error.type}
