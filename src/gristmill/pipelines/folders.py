"""What a folder and a collection have in common: files become documents, documents of files that are gone are removed."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gristmill.errors import GristmillError, InvalidInput, StepFailed
from gristmill.index.model import Document, DocumentFilter, NewDocument, Origin
from gristmill.index.ports import IndexStore
from gristmill.steps.paths import check_path
from gristmill.tasks.model import Json, TaskError
from gristmill.tasks.ports import TaskContext

__all__ = ["Found", "looked_through", "prune", "register"]

_PORTION = 1000
"""Documents registered, looked at or removed in one transaction."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is at a place."""

    documents: list[NewDocument] = field(default_factory=list)
    refused: list[Json] = field(default_factory=list)
    """Of the files that cannot be registered, each with its reason, as items of the result."""
    unsettled: int = 0
    """Files that are being written, perhaps."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all."""
        return not (self.documents or self.refused or self.unsettled)


def looked_through(
    context: TaskContext,
    files: Iterable[Path],
    *,
    place: str,
    root: str,
    unit: str,
    document: Callable[[str, str], NewDocument],
    settle_seconds: float = 0.0,
) -> Found:
    """The ``files`` below ``place``, which lies in ``root``, as documents; ``document`` makes one of path and root.

    Files that were written to within ``settle_seconds`` are left for later.
    """
    found: dict[str, NewDocument] = {}
    refused: list[Json] = []
    unsettled = 0
    for file in files:
        # Not as done: nothing is, and progress does not go back.
        context.progress("look", unit=unit, total=len(found) + len(refused))
        try:
            real, _ = check_path(str(file), [root])
            if _is_unsettled(real, settle_seconds):
                unsettled += 1
                continue
            found[real] = document(real, root)
        except GristmillError as error:
            refused.append(_refused(file, place, error))
        except OSError:
            refused.append(_refused(file, place, InvalidInput("path_not_readable", field="path", name=file.name)))
    return Found(list(found.values()), refused, unsettled)


def register(
    context: TaskContext, index: IndexStore, collection: str, found: Sequence[NewDocument]
) -> Iterator[Document]:
    """Make the documents known, a portion at a time."""
    for start in range(0, len(found), _PORTION):
        context.check()
        yield from index.register(collection, found[start : start + _PORTION])


def prune(context: TaskContext, index: IndexStore, collection: str, folder: str, *, is_empty: bool) -> int:
    """Remove the documents of files below ``folder`` that are there no more; how many.

    :class:`StepFailed` (``prune_of_all``) if that would be all of them and the folder is empty now.
    """
    gone = [
        document.id
        for document in _below(context, index, collection, folder)
        if document.origin is Origin.PATH and not _may_be_there(document.source)
    ]
    if gone and is_empty:
        # More likely, something is not mounted.
        raise StepFailed("prune_of_all", name=Path(folder).name, count=len(gone))
    for start in range(0, len(gone), _PORTION):
        context.check()
        index.delete_documents(gone[start : start + _PORTION])
    return len(gone)


def _below(context: TaskContext, index: IndexStore, collection: str, folder: str) -> Iterator[Document]:
    where = DocumentFilter(collection=collection, source_prefix=folder.rstrip(os.sep) + os.sep)
    after = 0
    while page := index.documents(where, limit=_PORTION, after=after):
        context.check()
        yield from page
        after = page[-1].id


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
