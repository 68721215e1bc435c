"""Page cursors: text to clients, the number of a row to us."""

from gristmill.errors import InvalidInput

__all__ = ["number_of"]


def number_of(cursor: str | None) -> int | None:
    """The row a page begins behind; :class:`InvalidInput` for what we never handed out."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise InvalidInput("cursor_invalid", field="cursor", value=cursor)
    return int(cursor)
