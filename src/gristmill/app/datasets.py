"""Image datasets from the user's side: build, follow, and the progress files that front ends poll.

A progress file says what the row of the task says, so it does not matter which process wrote it last.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from gristmill.app.embedders import Embedders
from gristmill.app.engines import Engines
from gristmill.clock import Clock, to_rfc3339
from gristmill.embed.images.registry import IMAGE_EMBEDDERS
from gristmill.engines.local import LOCAL
from gristmill.errors import Conflict, GristmillError, NotFound, Unavailable, error_from
from gristmill.index.model import Collection, Document, DocumentFilter, DocumentState
from gristmill.index.ports import IndexStore
from gristmill.logs import get_log
from gristmill.messages import render
from gristmill.settings.model import Settings
from gristmill.steps.image.datasets import check_names, dataset_folder, dataset_names
from gristmill.tasks.model import Json, Progress, Task, TaskFilter, TaskState
from gristmill.tasks.ports import TaskStore
from gristmill.tasks.service import TaskService, eta_seconds

__all__ = ["Build", "DatasetBuild", "Datasets", "Mode"]

_log = get_log(__name__)

BUILD = "build_index"
_DATASET = "build_dataset"
_STANDS = {
    TaskState.PENDING: "dataset_pending",
    TaskState.PROCESSING: "dataset_processing",
    TaskState.COMPLETED: "dataset_completed",
    TaskState.FAILED: "dataset_failed",
    TaskState.CANCELLED: "dataset_cancelled",
}
_MOST_TOLD = 100
"""Failures that are told along with the progress."""
_WRITE_SECONDS = 0.25
_LOOK_SECONDS = 2.5
"""How long an answer waits for the word of a broker: longer than it takes to find out that there is none."""
_SETTLED_SECONDS = 60.0
"""A file that has not changed for so long, and says that all is over, is not looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Where images are computed, and why not elsewhere."""

    name: str
    """The engine, ``local`` for this machine alone."""
    fault: GristmillError | None = None
    """What is wrong with the engine that would have carried them."""

    def reason(self, language: str) -> str | None:
        """The same for a person."""
        return None if self.fault is None else self.fault.message(language)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetBuild:
    """One dataset of a build as it is now."""

    dataset: str
    task: Task
    computed_by: Mapping[str, int]
    """Images that are done, by engine."""
    failures: Sequence[Document]
    """The first of those that are not in the index as they should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A build as it is now."""

    task: Task
    mode: Mode
    progress: Progress
    """In images, of all datasets together."""
    datasets: Sequence[DatasetBuild]


class Datasets:
    """What one may do with image datasets."""

    def __init__(
        self,
        index: IndexStore,
        store: TaskStore,
        tasks: TaskService,
        embedders: Embedders,
        settings: Settings,
        engines: Engines,
        clock: Clock,
        *,
        progress: Path,
    ) -> None:
        self._index = index
        self._store = store
        self._tasks = tasks
        self._embedders = embedders
        self._settings = settings
        self._engines = engines
        self._clock = clock
        self._progress = progress

    @property
    def root(self) -> Path | None:
        """The folder that holds the datasets."""
        root = self._settings.images.root
        return None if root is None else root.expanduser()

    def names(self) -> list[str]:
        """The datasets there are."""
        return [] if self.root is None else dataset_names(self.root)

    def collection(self, name: str) -> Collection:
        """The collection of a dataset, created with the configured embedder for images if it is new.

        :class:`Conflict` (``collection_not_of_images``) if there is one by that name that holds text.
        """
        with suppress(NotFound):
            found = self._index.collection(name)
            if found.space.embedder not in IMAGE_EMBEDDERS:
                raise Conflict("collection_not_of_images", collection=name, embedder=found.space.embedder)
            return found
        settings = self._embedders.collection_settings(self._settings.index, embedder=self._settings.images.embedder)
        return self._index.ensure_collection(name, settings)

    def build(
        self,
        names: Sequence[str],
        *,
        distributed: bool = True,
        force: bool = False,
        root: Path | None = None,
        **options: Any,
    ) -> Task:
        """Queue the datasets to be brought up to date, under ``root`` or the configured one; see :meth:`TaskService.draft`.

        Raises what :func:`~gristmill.steps.image.datasets.dataset_folder` does, before anything is queued.
        """
        names = check_names(names)
        for name in names:
            dataset_folder(name, root or self.root)
        payload: dict[str, Any] = {"dataset_names": names, "distributed": distributed, "force": force}
        if root is not None:
            payload["root"] = str(root)
        return self._tasks.submit(BUILD, payload, **options)

    def mode(self, *, distributed: bool, fresh: bool = False) -> Mode:
        """Where the images of a build are computed, as far as is known, or as it turns out to be now."""
        if not distributed:
            return Mode(name=LOCAL)
        if fresh and self._engines.switch.health()["ok"]:
            self._engines.look(timeout_seconds=_LOOK_SECONDS)
        health = self._engines.switch.health()
        for member in (health, *health.get("engines", {}).values()):
            if "falls_back_to" in member:
                fault = Unavailable(member["reason"], **member.get("facts", {}))
                return Mode(name=member["falls_back_to"], fault=fault)
        return Mode(name=self._engines.switch.name)

    def get(self, task_id: str) -> Build:
        """How far a build is; :class:`NotFound` (``task_not_found``) if no task of that id builds anything."""
        task = self._tasks.get(task_id)
        if task.kind == BUILD:
            children = self._children(task)
        elif task.kind == _DATASET:
            children = [task]
        else:
            raise NotFound("task_not_found", task_id=task_id)
        datasets = [self._dataset(child) for child in children]
        return Build(
            task=task,
            mode=self.mode(distributed=task.payload.get("distributed", True)),
            progress=_sum([child.progress for child in children], task),
            datasets=datasets,
        )

    def _children(self, task: Task) -> list[Task]:
        found = self._tasks.find(TaskFilter(parent_id=task.id, kinds=[_DATASET]), limit=1000)
        return found[::-1]

    def _dataset(self, task: Task) -> DatasetBuild:
        dataset = task.payload["dataset"]
        where = DocumentFilter(collection=dataset, states=[DocumentState.FAILED])
        return DatasetBuild(
            dataset=dataset,
            task=task,
            computed_by=self.computed_by(task.id),
            failures=self._index.documents(where, limit=_MOST_TOLD),
        )

    def computed_by(self, task_id: str) -> Mapping[str, int]:
        """How many images of a dataset's build each engine has done."""
        where = TaskFilter(parent_id=task_id, states=[TaskState.COMPLETED])
        return {engine: done for engine, done in self._store.done_by_engine(where).items() if done}

    def report(self, task_id: str, *, ended: Json | None = None) -> None:
        """Bring the progress file of a dataset's build up to date; ``ended`` is the result, if that was the end of it.

        That of a later build is left alone, and so is one that was written a moment ago.
        """
        task = self._store.get(task_id)
        if task.kind != _DATASET:
            return
        place = self._progress / f"{task.payload['dataset']}.json"
        if ended is None and not task.state.is_final and _age_seconds(place) < _WRITE_SECONDS:
            return
        try:
            with self._alone():
                there = _read(place)
                if there.get("number", 0) > task.number:
                    return
                # Read again: another process may have told of a later moment in between.
                _write(place, self._told(self._store.get(task_id), ended))
        except OSError as error:
            # The images matter more than the word about them, which is in the rows as well.
            _log.warning("progress.unwritten", dataset=task.payload["dataset"], error=type(error).__name__)

    def tend(self) -> int:
        """Correct progress files that nobody brought up to date, of builds that were cancelled, say; how many."""
        corrected = 0
        for place in self._progress.glob("*.json"):
            there = _read(place)
            if there.get("finished_at") is not None and _age_seconds(place) > _SETTLED_SECONDS:
                continue
            with suppress(NotFound):
                task = self._store.get(str(there.get("task_id")))
                if task.state.value != there.get("status") or task.state is TaskState.PROCESSING:
                    self.report(task.id)
                    corrected += 1
        return corrected

    def _told(self, task: Task, ended: Json | None) -> dict[str, Any]:
        progress = task.progress
        result = task.result if ended is None else ended
        counts = {name: getattr(progress, name) for name in ("total", "done", "failed", "skipped")}
        if result is not None:
            done = result["embedded"] + result["reused"]
            counts = {"total": result["total"], "done": done, "failed": result["failed"], "skipped": result["skipped"]}
        status = task.state if ended is None else TaskState.COMPLETED
        mode = self.mode(distributed=task.payload["distributed"])
        is_over = status.is_final
        error = None if task.error is None or status is TaskState.COMPLETED else task.error
        language = self._settings.language
        return {
            "dataset": task.payload["dataset"],
            "number": task.number,
            "task_id": task.id,
            "build_task_id": task.parent_id,
            "status": status.value,
            "stage": "done" if status is TaskState.COMPLETED else progress.stage,
            "unit": "images",
            **counts,
            "progress": 100 if status is TaskState.COMPLETED else progress.percent,
            "eta_seconds": eta_seconds(task, self._clock.now()),
            "distributed": task.payload["distributed"],
            "mode": mode.name,
            "reason": mode.reason(language),
            "computed_by": self.computed_by(task.id),
            "fell_back": 0 if result is None else result["fell_back"],
            "message": self.message(task.payload["dataset"], status, counts, mode, result, language),
            "error": None if error is None else {"code": error.code, "message": error.message(language)},
            "failures": [failure(document, language) for document in self._dataset(task).failures] if is_over else [],
            "created_at": to_rfc3339(task.created_at),
            "started_at": to_rfc3339(task.started_at),
            "updated_at": to_rfc3339(self._clock.now()),
            "finished_at": to_rfc3339(task.finished_at or self._clock.now()) if is_over else None,
        }

    @staticmethod
    def message(
        dataset: str, status: TaskState, counts: Mapping[str, Any], mode: Mode, result: Json | None, language: str
    ) -> str:
        """Where a dataset's build stands, for a person."""
        facts = {**counts, "dataset": dataset, "total": counts["total"] or 0}
        if status is TaskState.COMPLETED and result is not None and result["fell_back"]:
            return render("dataset_fell_back", {**facts, "count": result["fell_back"]}, language)
        if status is TaskState.PROCESSING and mode.fault is not None:
            return render("dataset_falls_back", {**facts, "reason": mode.reason(language)}, language)
        return render(_STANDS[status], facts, language)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Held by one thread of one process of this machine."""
        self._progress.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(self._progress / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def failure(document: Document, language: str) -> dict[str, Any]:
    """An image that is not in the index as it should be, by name, and why."""
    error = document.error or {}
    code = str(error.get("code", "unexpected_error"))
    why = error_from(str(error.get("type", "")), code, error.get("facts") or {})
    return {"doc_id": document.id, "name": document.name, "code": code, "reason": why.message(language)}


def _sum(parts: Sequence[Progress], task: Task) -> Progress:
    counts = {name: sum(getattr(part, name) for part in parts) for name in ("done", "failed", "skipped")}
    known = [part.total for part in parts if part.total is not None]
    total = sum(known) if parts and len(known) == len(parts) else None
    return Progress(stage=task.progress.stage, unit="images", total=total, **counts)


def _age_seconds(place: Path) -> float:
    try:
        return max(0.0, time.time() - place.stat().st_mtime)
    except OSError:
        return float("inf")


def _read(place: Path) -> dict[str, Any]:
    try:
        found = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(place: Path, told: Json) -> None:
    text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
    with NamedTemporaryFile("w", dir=place.parent, prefix=".", encoding="utf-8", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            # Whoever polls it may be another user.
            os.fchmod(file.fileno(), 0o644)
            Path(file.name).replace(place)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
