"""Text to pieces: exact stretches of the text, small enough to embed, with borders that survive edits.

Knows text and its structure, not tasks, not models. Nothing here depends on where in the document a stretch stands,
only on what is written there; that is what keeps borders in place when something is inserted above them.
"""

from gristmill.errors import InvalidInput
from gristmill.steps.model import Parsed, Piece
from gristmill.steps.split.cuts import cores
from gristmill.steps.split.layout import Layout
from gristmill.steps.split.pieces import piece_of

__all__ = ["MAX_CHUNK_SIZE", "MIN_CHUNK_SIZE", "split"]

MIN_CHUNK_SIZE = 50
MAX_CHUNK_SIZE = 20_000


def split(parsed: Parsed, *, chunk_size: int = 1000, chunk_overlap: int = 200) -> list[Piece]:
    """Cut ``parsed.text`` into pieces of at most ``chunk_size`` characters, in reading order.

    Every character that is not white space is in at least one piece, and ``piece.text`` is exactly
    ``parsed.text[piece.start:piece.end]``. Neighbours share up to ``chunk_overlap`` characters, except across a
    heading or an archive member. ``chunk_size`` is 50 to 20 000 and ``chunk_overlap`` 0 to half of it: with more
    overlap than that, most of the index would be repetition.
    """
    if not MIN_CHUNK_SIZE <= chunk_size <= MAX_CHUNK_SIZE:
        raise InvalidInput(
            "chunk_size_out_of_range",
            field="chunk_size",
            value=chunk_size,
            minimum=MIN_CHUNK_SIZE,
            maximum=MAX_CHUNK_SIZE,
        )
    if not 0 <= chunk_overlap <= chunk_size // 2:
        raise InvalidInput(
            "chunk_overlap_out_of_range",
            field="chunk_overlap",
            value=chunk_overlap,
            maximum=chunk_size // 2,
            chunk_size=chunk_size,
        )
    layout = Layout.of(parsed, limit=chunk_size - chunk_overlap)
    pieces = (
        piece_of(layout, region, start, end, chunk_size=chunk_size, chunk_overlap=chunk_overlap)
        for region in layout.regions
        for start, end in cores(layout, region)
    )
    return [piece for piece in pieces if piece is not None]
