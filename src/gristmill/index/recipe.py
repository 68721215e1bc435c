"""What besides its bytes decides how a document is indexed, and whether a document needs indexing at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gristmill.ids import content_hash
from gristmill.index.model import Collection, Document, Origin
from gristmill.index.ports import IndexStore

__all__ = [
    "RECIPE",
    "Selection",
    "fingerprint",
    "is_refused",
    "is_unchanged",
    "is_untouched",
    "recipe_hash",
    "select_stale",
]

RECIPE = "2"
"""Raised whenever the parser or the splitter would cut the same bytes differently, or more of a chunk is indexed."""


def recipe_hash(collection: Collection) -> str:
    """Identifies parser, splitter and embedding model as ``collection`` uses them."""
    space = collection.space
    return _recipe_hash(collection.chunk_size, collection.chunk_overlap, space.model_id, space.dimension)


@lru_cache
def _recipe_hash(chunk_size: int, chunk_overlap: int, model_id: str, dimension: int) -> str:
    return content_hash(RECIPE, f"{chunk_size}/{chunk_overlap}", model_id, str(dimension))


def fingerprint(document: Document, collection: Collection) -> Mapping[str, Any] | None:
    """What, without reading the document, tells that indexing it again would end the same; None if nothing does.

    An upload is identified by its content; a file by size and modification time; what is behind a URL is never known.
    """
    recipe = recipe_hash(collection)
    match document.origin:
        case Origin.UPLOAD:
            return {"recipe": recipe, "content": document.blob_id}
        case Origin.PATH:
            try:
                status = Path(document.source).stat()
            except OSError:
                return None
            return {"recipe": recipe, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
        case Origin.URL:
            return None


def is_untouched(document: Document, collection: Collection) -> bool:
    """Whether indexing would find the very bytes and settings that the published version is of, or was chosen over."""
    version = document.version
    if version is None:
        return False
    seen = fingerprint(document, collection)
    if seen is None or (document.held is None and version.settings_hash != seen["recipe"]):
        return False
    latest = document.held or version
    if document.origin is Origin.UPLOAD:
        return bool(latest.content_hash == seen["content"])
    return (latest.size, latest.mtime_ns) == (seen["size"], seen["mtime_ns"])


def is_unchanged(document: Document, recipe: str, content: str) -> bool:
    """The same of bytes that were read, with the hash ``content``."""
    if document.held is not None:
        return document.held.content_hash == content
    version = document.version
    return version is not None and (version.content_hash, version.settings_hash) == (content, recipe)


def is_refused(document: Document, collection: Collection) -> bool:
    """Whether the very same bytes failed the last time for a reason that trying again does not mend."""
    if document.error is None or document.error.get("seen") is None:
        return False
    return bool(document.error["seen"] == fingerprint(document, collection))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Documents to be indexed, told apart by whether there is anything to do."""

    stale: Sequence[Document]
    untouched: Sequence[Document]
    refused: Sequence[Document]
    """Failed before and have not changed since; their ``error`` says why."""


def select_stale(index: IndexStore, document_ids: Sequence[int], *, force: bool = False) -> Selection:
    """Which of the documents need indexing; ids that do not exist are left out."""
    collections: dict[str, Collection] = {}
    stale: list[Document] = []
    untouched: list[Document] = []
    refused: list[Document] = []
    for document in index.documents_by_id(document_ids).values():
        if document.collection not in collections:
            collections[document.collection] = index.collection(document.collection)
        collection = collections[document.collection]
        if force:
            stale.append(document)
        elif is_refused(document, collection):
            refused.append(document)
        elif is_untouched(document, collection):
            untouched.append(document)
        else:
            stale.append(document)
    return Selection(stale=stale, untouched=untouched, refused=refused)
