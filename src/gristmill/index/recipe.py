"""What besides its bytes decides how a document is indexed, and whether a document needs indexing at all."""

from pathlib import Path

from gristmill.ids import content_hash
from gristmill.index.model import Collection, Document, Origin

__all__ = ["RECIPE", "is_untouched", "recipe_hash"]

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
