"""File names that are too long.

Standard library only, because the API asks too.
"""

from pathlib import PurePosixPath

__all__ = ["shortened"]

_LONGEST_SUFFIX = 20


def shortened(name: str, most: int) -> str:
    """``name`` in at most ``most`` characters; its extension, which says how it is read, is kept."""
    if len(name) <= most:
        return name
    suffix = PurePosixPath(name).suffix[:_LONGEST_SUFFIX]
    return name[: most - len(suffix)] + suffix
