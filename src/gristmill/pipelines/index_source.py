"""Brings a collection up to date with one place: a folder and all below it, a file, or a URL.

Registers what there is, indexes what has changed as children, and removes what is gone if that was asked for.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gristmill.errors import InvalidInput, StepFailed
from gristmill.index.ports import IndexStore
from gristmill.index.recipe import select_stale
from gristmill.kinds import BatchIndex, IndexSource
from gristmill.pipelines.batch_index import BatchIndexer
from gristmill.pipelines.folders import Found, looked_through, prune, register
from gristmill.steps.paths import check_place
from gristmill.steps.sources import address_document, file_document, walk_files
from gristmill.tasks.model import Completed, Json, NewTask, Outcome, Waiting
from gristmill.tasks.ports import TaskContext

__all__ = ["SourceIndexer"]


class SourceIndexer:
    """Handles ``index_source``; ``ensure_collection`` makes the collection of that name if there is none."""

    def __init__(
        self, index: IndexStore, draft: Callable[..., NewTask], ensure_collection: Callable[[str], object]
    ) -> None:
        self._index = index
        self._batch = BatchIndexer(index, draft)
        self._ensure_collection = ensure_collection

    def __call__(self, context: TaskContext, payload: IndexSource) -> Outcome:
        """One pass of the task: the first hands out children, the second, when all have ended, sums up."""
        kept = context.task.checkpoint
        if kept is None:
            return self._begin(context, payload)
        return self._continue(context, payload, kept["doc_ids"], kept["besides"])

    def _begin(self, context: TaskContext, payload: IndexSource) -> Outcome:
        self._ensure_collection(payload.collection)
        found = _looked_through(context, payload)
        registered = register(context, self._index, payload.collection, found.documents)
        doc_ids = [document.id for document in registered]
        removed = self._pruned(context, payload, found) if payload.prune else 0
        selection = select_stale(self._index, doc_ids, force=payload.force)
        besides = {
            "unchanged": len(selection.untouched),
            "removed": removed,
            "refused": found.refused,
            "unsettled": found.unsettled,
        }
        # What failed before and has not changed is looked at as well: it is counted as failed, and costs nothing.
        wanted = [document.id for document in (*selection.stale, *selection.refused)]
        return self._continue(context, payload, wanted, besides)

    def _continue(self, context: TaskContext, payload: IndexSource, doc_ids: list[int], besides: Json) -> Outcome:
        outcome = self._batch(context, BatchIndex(doc_ids=doc_ids, force=payload.force))
        if isinstance(outcome, Waiting):
            return replace(outcome, checkpoint={**outcome.checkpoint, "doc_ids": doc_ids, "besides": besides})
        if isinstance(outcome, Completed):
            return _summed_up(outcome, besides)
        return outcome

    def _pruned(self, context: TaskContext, payload: IndexSource, found: Found) -> int:
        """Remove documents of files below the folder that are there no more; how many."""
        if payload.root is None or not Path(payload.source).is_dir():
            return 0
        return prune(context, self._index, payload.collection, payload.source, is_empty=found.is_empty)


def _looked_through(context: TaskContext, payload: IndexSource) -> Found:
    if payload.root is None:
        return Found([address_document(payload.source)])
    try:
        place, root = check_place(payload.source, [payload.root])
    except InvalidInput as error:
        raise StepFailed(error.code, **error.facts) from error
    if not Path(place).is_dir():
        return Found([file_document(place, root)])
    return looked_through(
        context,
        walk_files(Path(place)),
        place=place,
        root=root,
        unit="documents",
        document=file_document,
        settle_seconds=payload.settle_seconds,
    )


def _summed_up(outcome: Completed, besides: Json) -> Completed:
    """The outcome of the batch, with what was not left to it."""
    unchanged, refused = besides["unchanged"], besides["refused"]
    result: dict[str, Any] = dict(outcome.result)
    result["total"] += unchanged + len(refused)
    result["success"] += unchanged
    result["skipped"] += unchanged
    result["failed"] += len(refused)
    progress = outcome.progress
    if progress is not None:
        progress = replace(
            progress,
            skipped=progress.skipped + unchanged,
            failed=progress.failed + len(refused),
            total=result["total"],
        )
    return replace(
        outcome,
        result={**result, "removed": besides["removed"], "unsettled": besides["unsettled"]},
        items=[*outcome.items, *refused],
        progress=progress,
    )
