"""The only module that knows kreuzberg.

It keeps its cache off, its time bounded, and turns whatever it raises into our errors. Offsets, encodings and
page marks of the library are not trusted outside.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gristmill.errors import GristmillError, LimitExceeded, StepFailed
from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.parse.draft import Material

__all__ = ["Extracted", "extract"]

_PLACEHOLDERS = frozenset({"", "untitled", "unspecified", "anonymous"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What the library found, as plain values."""

    content: str = field(repr=False)
    pages: tuple[str, ...] = field(repr=False)
    headings: tuple[tuple[int, int, str], ...]
    """Page, level and text of headings told by their type size (PDF only)."""
    metadata: Mapping[str, Any]
    page_mark: str
    """Stands before the number of every slide in the content, followed by a space; unlike any text."""

    @property
    def title(self) -> str | None:
        """The title the author gave, if any."""
        title = self.metadata.get("title")
        return title if isinstance(title, str) and _says_something(title) else None

    def facts(self) -> dict[str, object]:
        """The metadata worth keeping, as JSON values."""
        kept: dict[str, object] = {}
        for key in ("authors", "created_at", "modified_at", "language", "subject", "keywords"):
            value = self.metadata.get(key)
            if isinstance(value, str) and _says_something(value):
                kept[key] = value[:500]
            elif isinstance(value, list):
                words = [word for word in value if isinstance(word, str) and _says_something(word)]
                if words:
                    kept[key] = words[:50]
        return kept


def extract(material: Material, kind: Format, *, timeout_seconds: float) -> Extracted:
    """Markdown, pages and metadata of a binary document.

    Raises ``StepFailed`` for a damaged or encrypted one, ``LimitExceeded`` for one that unpacks to too much or takes
    longer than ``timeout_seconds``.
    """
    import kreuzberg

    # A mark that a document could contain would let it forge its page numbers.
    page_mark = f"page-{secrets.token_hex(8)}"
    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        output_format="markdown",
        include_document_structure=kind is Format.PDF,
        extraction_timeout_secs=max(1, round(timeout_seconds)),
        pages=kreuzberg.PageConfig(
            extract_pages=kind is Format.PDF,
            insert_page_markers=kind is Format.PPTX,
            marker_format=f"\n\n{page_mark} {{page_num}}\n\n",
        ),
    )
    try:
        result = kreuzberg.extract_bytes_sync(material.data, MEDIA_TYPES[kind], config)
    except kreuzberg.ExtractionTimeoutError as error:
        raise LimitExceeded("parse_too_slow", name=material.name, seconds=timeout_seconds) from error
    except (kreuzberg.KreuzbergError, RuntimeError, ValueError, OSError) as error:
        raise _translated(str(error), material.name, kind) from error
    except BaseException as error:
        # A Rust panic arrives as pyo3's PanicException, which is deliberately no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise StepFailed("document_damaged", name=material.name, format=kind.value) from error
    return Extracted(
        content=result.content,
        pages=tuple(page["content"] for page in sorted(result.pages or (), key=lambda page: page["page_number"])),
        headings=_headings(result.document),
        metadata=dict(result.metadata),
        page_mark=page_mark,
    )


def _says_something(value: str) -> bool:
    # Writers of PDF fill unknown fields with such words.
    return value.strip().strip("()").lower() not in _PLACEHOLDERS


def _translated(reason: str, name: str, kind: Format) -> GristmillError:
    lower = reason.lower()
    if "password" in lower or "encrypted" in lower:
        return StepFailed("document_encrypted", name=name)
    if "security limit" in lower or "zip bomb" in lower:
        return LimitExceeded("document_expands_too_much", name=name)
    return StepFailed("document_damaged", name=name, format=kind.value)


def _headings(document: Any) -> tuple[tuple[int, int, str], ...]:
    found = []
    for node in (document or {}).get("nodes", ()):
        content = node.get("content") or {}
        if content.get("node_type") == "heading" and node.get("page"):
            found.append((int(node["page"]), int(content.get("level") or 1), str(content.get("text") or "")))
    return tuple(found)
