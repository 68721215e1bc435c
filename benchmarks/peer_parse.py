"""What the peers of the ingest benchmark share with Gristmill: its parser, its embedders and its sizes of a chunk.

Imported in the environment of the peers, by their processes too.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gristmill.embed.ports import Embedder

__all__ = ["embedder", "text_of", "warm"]


@cache
def embedder(name: str) -> "Embedder":
    """One for this process."""
    from gristmill.embed.registry import open_embedder
    from gristmill.embed.settings import EmbedSettings

    return open_embedder(name, EmbedSettings())


def warm(name: str) -> None:
    """Load parser and model, so that they are not part of what is measured."""
    text_of(str(Path(__file__)))
    embedder(name).embed_query("warm")


def text_of(name: str) -> str:
    """The text of a file; empty if it cannot be read."""
    from gristmill.errors import GristmillError
    from gristmill.steps.model import Fetched
    from gristmill.steps.parse import ParseLimits, parse

    path = Path(name)
    fetched = Fetched(path=path, name=path.name, size=path.stat().st_size, content_hash="")
    try:
        return parse(fetched, limits=ParseLimits()).text
    except GristmillError:
        return ""
