"""Brings one image dataset up to date: what is new or changed is embedded in batches, what is gone is removed.

Runs again whenever its batches have ended. A batch that died with its process is split, so that the image that kills
its reader sinks alone; an image that could not be read for a passing cause is tried again, three times.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from gristmill.errors import InvalidInput, StepFailed, error_from
from gristmill.ids import derived_id
from gristmill.index.model import Document, DocumentFilter, DocumentState
from gristmill.index.ports import IndexStore
from gristmill.index.recipe import fingerprint, select_stale
from gristmill.kinds import BuildDataset
from gristmill.pipelines.folders import Found, looked_through, prune, register
from gristmill.pipelines.read_text import reading_later
from gristmill.settings.model import ImageSettings
from gristmill.steps.image.datasets import dataset_folder
from gristmill.steps.image.formats import walk_images
from gristmill.steps.sources import file_document
from gristmill.tasks.model import (
    Completed,
    Failed,
    Json,
    NewTask,
    Outcome,
    Progress,
    Task,
    TaskError,
    TaskState,
    Waiting,
)
from gristmill.tasks.ports import TaskContext

__all__ = ["DatasetBuilder"]

_MOST_RETRIES = 3
_RETRY_SECONDS = 2.0
"""Before the first new try of an image; doubles."""
_SPLIT_AFTER = frozenset({"task_parked", "hard_limit_exceeded", "soft_limit_exceeded"})
"""What may be the fault of a single image of a batch."""
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a build remembers between its passes."""

    folder: str
    round: int
    batches: list[list[int]]
    """The images handed out in this round."""
    skipped: int
    refused: list[Json]
    """Files that cannot be registered, as items of the result."""
    known_bad: int
    """Images that failed before and have not changed since."""
    retries: dict[str, int] = field(default_factory=dict)
    """How often an image was tried again, by its id."""
    embedded: int = 0
    reused: int = 0
    same: int = 0
    """Images whose files were written anew with the same bytes."""
    failed: int = 0
    fell_back: int = 0
    """Images that were looked at while the engine that should have carried them could not."""
    fault: str | None = None
    """What was wrong with it then, as a code."""
    given_up: list[Json] = field(default_factory=list)
    """Images whose own task could not say why they failed: ``doc_id`` and ``error``."""

    @property
    def progress(self) -> Progress:
        """How far the build is at the beginning of a round."""
        done, failed = (
            self.embedded + self.reused,
            self.failed + len(self.given_up) + len(self.refused) + self.known_bad,
        )
        handed_out = sum(map(len, self.batches))
        skipped = self.skipped + self.same
        total = done + failed + skipped + handed_out
        return Progress(stage="embed", unit="images", done=done, failed=failed, skipped=skipped, total=total)


class DatasetBuilder:
    """Handles ``build_dataset``.

    ``ensure_collection`` makes the collection of that name if there is none; ``report`` is told of a build whose
    progress is to be shown elsewhere; ``reads_text`` says whether the text in new images is to be read.
    """

    def __init__(
        self,
        index: IndexStore,
        draft: Callable[..., NewTask],
        ensure_collection: Callable[[str], object],
        settings: ImageSettings,
        *,
        report: Callable[..., None],
        done_by_engine: Callable[[str], Mapping[str, int]],
        pins: bool,
        reads_text: bool,
    ) -> None:
        self._index = index
        self._draft = draft
        self._ensure_collection = ensure_collection
        self._settings = settings
        self._report = report
        self._done_by_engine = done_by_engine
        self._pins = pins
        self._reads_text = reads_text

    def __call__(self, context: TaskContext, payload: BuildDataset) -> Outcome:
        """One pass of the task; see the module."""
        self._report(context.task.id)
        kept = context.task.checkpoint
        plan = self._begin(context, payload) if kept is None else self._look_back(context, _Plan(**kept))
        if isinstance(plan, Failed):
            return plan
        if plan.batches:
            children = self._children(context.task, payload, plan)
            return Waiting(spawn=children, checkpoint=_kept(plan), progress=plan.progress)
        return self._end(context, payload, plan)

    def _begin(self, context: TaskContext, payload: BuildDataset) -> _Plan:
        root = self._settings.root if payload.root is None else Path(payload.root)
        try:
            folder, real_root = dataset_folder(payload.dataset, root and root.expanduser())
        except InvalidInput as error:
            raise StepFailed(error.code, **error.facts) from error
        self._ensure_collection(payload.dataset)
        found = looked_through(
            context,
            walk_images(Path(folder)),
            place=folder,
            root=real_root,
            unit="images",
            document=file_document,
        )
        if found.is_empty:
            self._prune(context, payload, folder, found)
        documents = register(context, self._index, payload.dataset, found.documents)
        selection = select_stale(self._index, [document.id for document in documents], force=payload.force)
        stale = [document.id for document in selection.stale]
        size = self._settings.batch_size
        return _Plan(
            folder=folder,
            round=1,
            batches=[stale[start : start + size] for start in range(0, len(stale), size)],
            skipped=len(selection.untouched),
            refused=found.refused,
            known_bad=len(selection.refused),
        )

    def _look_back(self, context: TaskContext, plan: _Plan) -> _Plan | Failed:
        """What the round has brought, and what the next one is to do."""
        children = {child.id: child for child in context.children()}
        again: list[list[int]] = []
        counts: Counter[str] = Counter()
        given_up = list(plan.given_up)
        retries = dict(plan.retries)
        fault = plan.fault
        for number, batch in enumerate(plan.batches):
            child = children[_child_id(context.task, plan.round, number)]
            if child.state is TaskState.COMPLETED:
                result = child.result or {}
                counts.update({name: result.get(name, 0) for name in ("embedded", "reused", "failed", "skipped")})
                if result.get("fault"):
                    fault = result["fault"]
                    counts["fell_back"] += result["images"]
                for left in result.get("again", ()):
                    key = str(left["doc_id"])
                    retries[key] = retries.get(key, 0) + 1
                    if retries[key] > _MOST_RETRIES:
                        given_up.append(left)
                    else:
                        again.append([left["doc_id"]])
                continue
            error = child.error or TaskError(code="task_was_cancelled", facts={"task_id": child.id}, type="Conflict")
            if child.state is not TaskState.CANCELLED and error.code not in _SPLIT_AFTER:
                # Nothing that an image could be blamed for, which would stand in the result: no model, no service.
                return Failed(error=error)
            if child.state is TaskState.CANCELLED or len(batch) == 1:
                given_up += [{"doc_id": doc_id, "error": _as_json(error)} for doc_id in batch]
            else:
                again += [[doc_id] for doc_id in batch]
        return replace(
            plan,
            round=plan.round + 1,
            batches=again,
            retries=retries,
            given_up=given_up,
            embedded=plan.embedded + counts["embedded"],
            reused=plan.reused + counts["reused"],
            same=plan.same + counts["skipped"],
            failed=plan.failed + counts["failed"],
            fell_back=plan.fell_back + counts["fell_back"],
            fault=fault,
        )

    def _children(self, parent: Task, payload: BuildDataset, plan: _Plan) -> list[NewTask]:
        first = self._draft(
            "generate_embeddings",
            {"images": plan.batches[0], "force": payload.force},
            priority=parent.priority,
            delay_seconds=_RETRY_SECONDS * 2 ** (plan.round - 2) if plan.retries else 0.0,
            parent_id=parent.id,
            collection=payload.dataset,
            user_id=parent.user_id,
        )
        if not payload.distributed and self._pins:
            first = replace(first, engine="local", pinned=True)
        return [
            replace(first, id=_child_id(parent, plan.round, number), payload={"images": batch, "force": payload.force})
            for number, batch in enumerate(plan.batches)
        ]

    def _end(self, context: TaskContext, payload: BuildDataset, plan: _Plan) -> Outcome:
        removed = self._prune(context, payload, plan.folder, None)
        given_up = self._given_up(payload, plan)
        failures = [*plan.refused, *self._failures(context, payload, plan.folder, given_up)]
        progress = plan.progress
        result = {
            "dataset": payload.dataset,
            "total": progress.total,
            "embedded": plan.embedded,
            "reused": plan.reused,
            "skipped": progress.skipped,
            "failed": progress.failed,
            "removed": removed,
            "distributed": payload.distributed,
            "engines": dict(self._done_by_engine(context.task.id)),
            "fell_back": plan.fell_back,
            "fault": plan.fault,
        }

        def effect(tx: Any) -> None:
            for doc_id, error in given_up.items():
                # The image's own task records what it can; one whose process died or ran out of time could not.
                self._index.fail(tx, doc_id, error)
            self._report(context.task.id, ended=result)

        return Completed(
            result=result,
            items=failures,
            effect=effect,
            progress=replace(progress, stage="done"),
            spawn=self._reading(context, plan),
        )

    def _prune(self, context: TaskContext, payload: BuildDataset, folder: str, found: Found | None) -> int:
        return prune(context, self._index, payload.dataset, folder, is_empty=found is not None)

    def _given_up(self, payload: BuildDataset, plan: _Plan) -> dict[int, Json]:
        """Why images failed whose own tasks could not say, as it is recorded."""
        errors = {left["doc_id"]: left["error"] for left in plan.given_up}
        if not errors:
            return {}
        collection = self._index.collection(payload.dataset)
        recorded: dict[int, Json] = {}
        for doc_id, document in self._index.documents_by_id(list(errors)).items():
            error = errors[doc_id]
            may_pass = error_from(error["type"], error["code"], error["facts"]).transient
            # What it was like when it killed its reader: it is left alone until it changes.
            recorded[doc_id] = error if may_pass else {**error, "seen": fingerprint(document, collection)}
        return recorded

    def _failures(
        self, context: TaskContext, payload: BuildDataset, folder: str, given_up: Mapping[int, Json]
    ) -> list[Json]:
        """Every image of the dataset that is not as it should be, by name, with the reason."""
        where = DocumentFilter(
            collection=payload.dataset, states=[DocumentState.FAILED], source_prefix=folder.rstrip("/") + "/"
        )
        failures: list[Json] = []
        after = 0
        while page := self._index.documents(where, limit=_PAGE, after=after):
            context.check()
            failures += [
                _failure(document, folder, document.error or {}) for document in page if document.id not in given_up
            ]
            after = page[-1].id
        sunk = self._index.documents_by_id(list(given_up))
        return [*failures, *(_failure(document, folder, given_up[document.id]) for document in sunk.values())]

    def _reading(self, context: TaskContext, plan: _Plan) -> list[NewTask]:
        """The second pass over images that are found by their looks from now on: the text in them."""
        if not self._reads_text or not plan.embedded + plan.reused:
            return []
        new = [
            doc_id
            for child in context.children()
            if child.state is TaskState.COMPLETED
            for doc_id in child.payload["images"]
        ]
        found = self._index.documents_by_id(list(dict.fromkeys(new)))
        indexed = [doc_id for doc_id, document in found.items() if document.state is DocumentState.INDEXED]
        return reading_later(self._draft, context.task, indexed)


def _child_id(parent: Task, round_: int, number: int) -> str:
    return derived_id(parent.id, f"round/{round_}/{number}")


def _kept(plan: _Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in _Plan.__slots__}


def _as_json(error: TaskError) -> dict[str, Any]:
    return {"code": error.code, "facts": dict(error.facts), "type": error.type}


def _failure(document: Document, folder: str, error: Json) -> dict[str, Any]:
    name = str(PurePath(document.source).relative_to(folder))
    told = {key: error.get(key) for key in ("code", "facts", "type")}
    return {"doc_id": document.id, "name": name, "status": "failed", "error": told}
