"""What readers take and give: the bytes of one document, and its text in sections.

A draft knows neither offsets nor limits; :mod:`gristmill.steps.parse.assemble` turns it into a ``Parsed``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from gristmill.steps.model import Notice

__all__ = ["Draft", "Material", "Section"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One document, or one member of an archive, in memory."""

    data: bytes = field(repr=False)
    name: str
    """What messages call it; a member is named ``archive.zip/inside/file.txt``."""
    declared_type: str | None = None

    @property
    def suffix(self) -> str:
        """The extension in lower case with its dot, or an empty string."""
        return PurePosixPath(self.name).suffix.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A stretch of text that is one page, one member, or the whole."""

    text: str = field(repr=False)
    page: int | None = None
    part: str | None = None
    markdown: bool = True
    """Whether ``#`` and ``|`` at line starts mean headings and tables here."""
    left_out: int = 0
    """Characters that its reader did not read, because there are more than will be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The text a reader found, in reading order, with what it knows about the document."""

    sections: tuple[Section, ...]
    media_type: str
    encoding: str | None = None
    title: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
