"""What besides its bytes decides how a document is indexed, and whether a document needs indexing at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gristmill.ids import content_hash
from gristmill.index.model import Collection, Document, Origin
from gristmill.index.ports import IndexStore

__all__ = ["RECIPE", "Selection", "is_untouched", "recipe_hash", "select_stale"]

RECIPE = "1"
"""Raised whenever the parser or the splitter would cut the same bytes differently."""


def recipe_hash(collection: Collection) -> str:
    """Identifies parser, splitter and embedding model as ``collection`` uses them."""
    space = collection.space
    sizes = f"{collection.chunk_size}/{collection.chunk_overlap}"
    return content_hash(RECIPE, sizes, space.model_id, str(space.dimension))


def is_untouched(document: Document, collection: Collection) -> bool:
    """Whether indexing would change nothing, told without reading the document.

    An upload is identified by its content; a file by size and modification time; what is behind a URL is never known.
    """
    version = document.version
    if version is None or version.settings_hash != recipe_hash(collection):
        return False
    match document.origin:
        case Origin.UPLOAD:
            return document.blob_id == version.content_hash
        case Origin.PATH:
            try:
                status = Path(document.source).stat()
            except OSError:
                return False
            return (status.st_size, status.st_mtime_ns) == (version.size, version.mtime_ns)
        case Origin.URL:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Documents to be indexed, told apart by whether there is anything to do."""

    stale: Sequence[Document]
    untouched: Sequence[Document]


def select_stale(index: IndexStore, document_ids: Sequence[int], *, force: bool = False) -> Selection:
    """Which of the documents need indexing; ids that do not exist are left out."""
    collections: dict[str, Collection] = {}
    stale: list[Document] = []
    untouched: list[Document] = []
    for document in index.documents_by_id(document_ids).values():
        if document.collection not in collections:
            collections[document.collection] = index.collection(document.collection)
        same = not force and is_untouched(document, collections[document.collection])
        (untouched if same else stale).append(document)
    return Selection(stale=stale, untouched=untouched)
