"""Text that a reader writes piece by piece: no more of it is kept than will be used."""

import io

__all__ = ["Kept"]


class Kept:
    """The first ``most`` characters of what is written; the rest is only counted."""

    def __init__(self, most: int) -> None:
        self._text = io.StringIO()
        self._room = most
        self.left_out = 0
        """Characters that were not kept."""

    def write(self, piece: str) -> None:
        """Add ``piece`` at the end."""
        if len(piece) > self._room:
            self.left_out += len(piece) - self._room
            piece = piece[: self._room]
        self._room -= len(piece)
        self._text.write(piece)

    @property
    def text(self) -> str:
        """What is kept."""
        return self._text.getvalue()
