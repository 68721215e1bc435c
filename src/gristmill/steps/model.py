"""What passes between steps: bytes in hand, text with structure, pieces of text.

All offsets count characters (code points) of ``Parsed.text``, half-open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Fetched", "Heading", "Notice", "Page", "Parsed", "Part", "Piece", "Span"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something the reader should know about one item, short of a failure: a message code and its facts."""

    code: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The bytes of one source, out of reach of whoever may change the source."""

    path: Path | None = None
    """A file with the bytes; none where they are few."""
    data: bytes = b""
    """The bytes themselves, where there is no file."""
    name: str
    """File name with extension, as the user knows it; never a path."""
    size: int
    content_hash: str
    """SHA-256 of the bytes, hex."""
    declared_type: str | None = None
    """Media type the source claimed (HTTP header, upload part), if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the text, such as a table or a code block."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page, slide or sheet; ``number`` starts at 1."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading of ``level`` 1-6 whose line begins at ``start``."""

    level: int
    title: str
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The text of one member of an archive; ``path`` is the member's name inside it."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """The text of a document with its structure.

    ``text`` is clean: LF line ends, no NUL and no lone surrogates; headings are Markdown (``# Title``) and tables
    are Markdown tables where the format has them. An empty text always comes with a notice that says why.
    """

    text: str
    media_type: str
    encoding: str | None = None
    title: str | None = None
    pages: tuple[Page, ...] = ()
    headings: tuple[Heading, ...] = ()
    tables: tuple[Span, ...] = ()
    parts: tuple[Part, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One chunk's worth of text and where it stands."""

    text: str
    start: int
    end: int
    page: int | None = None
    headings: tuple[str, ...] = ()
    """Titles from the outermost heading to the nearest."""
    part: str | None = None
    """Archive member it comes from."""
