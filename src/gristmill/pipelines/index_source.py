"""Brings a collection up to date with one place: a folder and all below it, a file, or a URL.

Registers what there is, indexes what has changed as children, and removes what is gone if that was asked for.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gristmill.errors import GristmillError, InvalidInput, StepFailed
from gristmill.index.model import Document, DocumentFilter, NewDocument, Origin
from gristmill.index.ports import IndexStore
from gristmill.index.recipe import select_stale
from gristmill.kinds import BatchIndex, IndexSource
from gristmill.pipelines.batch_index import BatchIndexer
from gristmill.steps.paths import check_path, check_place
from gristmill.steps.sources import address_document, file_document, walk_files
from gristmill.tasks.model import Completed, Json, NewTask, Outcome, TaskError, Waiting
from gristmill.tasks.ports import TaskContext

__all__ = ["SourceIndexer"]

_PORTION = 1000
"""Documents registered, looked at or removed in one transaction."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is at a place."""

    documents: list[NewDocument] = field(default_factory=list)
    refused: list[Json] = field(default_factory=list)
    """Of the files that cannot be registered, each with its reason, as items of the result."""
    unsettled: int = 0
    """Files that are being written, perhaps."""


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
        doc_ids = [document.id for document in self._registered(context, payload.collection, found.documents)]
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

    def _registered(self, context: TaskContext, collection: str, found: Sequence[NewDocument]) -> Iterator[Document]:
        for start in range(0, len(found), _PORTION):
            context.check()
            yield from self._index.register(collection, found[start : start + _PORTION])

    def _pruned(self, context: TaskContext, payload: IndexSource, found: _Found) -> int:
        """Remove documents of files below the folder that are there no more; how many."""
        if payload.root is None or not Path(payload.source).is_dir():
            return 0
        gone = [
            document.id
            for document in self._below(context, payload.collection, payload.source)
            if document.origin is Origin.PATH and not _may_be_there(document.source)
        ]
        if gone and not (found.documents or found.refused or found.unsettled):
            # More likely, something is not mounted.
            raise StepFailed("prune_of_all", name=Path(payload.source).name, count=len(gone))
        for start in range(0, len(gone), _PORTION):
            context.check()
            self._index.delete_documents(gone[start : start + _PORTION])
        return len(gone)

    def _below(self, context: TaskContext, collection: str, folder: str) -> Iterator[Document]:
        where = DocumentFilter(collection=collection, source_prefix=folder.rstrip(os.sep) + os.sep)
        after = 0
        while page := self._index.documents(where, limit=_PORTION, after=after):
            context.check()
            yield from page
            after = page[-1].id


def _looked_through(context: TaskContext, payload: IndexSource) -> _Found:
    if payload.root is None:
        return _Found([address_document(payload.source)])
    try:
        place, root = check_place(payload.source, [payload.root])
    except InvalidInput as error:
        raise StepFailed(error.code, **error.facts) from error
    if not Path(place).is_dir():
        return _Found([file_document(place, root)])
    found: dict[str, NewDocument] = {}
    refused: list[Json] = []
    unsettled = 0
    for file in walk_files(Path(place)):
        context.progress("look", unit="documents", done=len(found), failed=len(refused))
        try:
            real, _ = check_path(str(file), [root])
            if _is_unsettled(real, payload.settle_seconds):
                unsettled += 1
                continue
            found[real] = file_document(real, root)
        except GristmillError as error:
            refused.append(_refused(file, place, error))
        except OSError:
            refused.append(_refused(file, place, InvalidInput("path_not_readable", field="path", name=file.name)))
    return _Found(list(found.values()), refused, unsettled)


def _is_unsettled(path: str, seconds: float) -> bool:
    # A time that lies ahead says nothing.
    return seconds > 0 and 0 <= time.time() - Path(path).stat().st_mtime < seconds


def _refused(file: Path, place: str, error: GristmillError) -> Json:
    told = TaskError.of(error)
    name = str(file.relative_to(place)).encode("utf-8", "replace").decode()
    facts = {**told.facts, "name": Path(name).name}
    return {"name": name, "status": "failed", "error": {"code": told.code, "facts": facts, "type": told.type}}


def _may_be_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:
        return True


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
