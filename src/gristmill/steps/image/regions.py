"""A part of a picture. Standard library only, because the API names parts too."""

from dataclasses import dataclass

__all__ = ["Region"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of a picture, in pixels of the upright original, from its upper left corner."""

    x: int
    y: int
    width: int
    height: int
