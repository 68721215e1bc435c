"""Jupyter notebooks as Markdown: prose as it is, code in fences, what it printed below."""

import json
import re
from collections.abc import Iterator
from typing import Any

from gristmill.errors import StepFailed
from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.markdown import fenced
from gristmill.steps.parse.plain import decoded, decoding_notices

__all__ = ["read_notebook"]

_OUTPUT_CHARS = 4_000
_COLOURS = re.compile("\x1b\\[[0-9;]*[A-Za-z]")


def read_notebook(material: Material, _limits: ParseLimits) -> Draft:
    """The cells in order; pictures and rich output are left out, long output is cut."""
    source = decoded(material)
    try:
        book = json.loads(source.text)
    except (ValueError, RecursionError) as error:
        raise StepFailed("document_damaged", name=material.name, format=Format.NOTEBOOK.value) from error
    if not isinstance(book, dict):
        raise StepFailed("document_damaged", name=material.name, format=Format.NOTEBOOK.value)
    language = _language(book)
    cells = _list(book.get("cells"))
    for sheet in _list(book.get("worksheets")):
        # Notebooks of format 3 keep their cells one level down.
        cells += _list(_dict(sheet).get("cells"))
    text = "\n\n".join(block for cell in cells for block in _blocks(_dict(cell), language) if block.strip())
    return Draft(
        sections=(Section(text=text),),
        media_type=MEDIA_TYPES[Format.NOTEBOOK],
        encoding=source.encoding,
        metadata={"language": language, "cells": len(cells)},
        notices=decoding_notices(source, material.name),
    )


def _blocks(cell: dict[str, Any], language: str) -> Iterator[str]:
    kind = cell.get("cell_type")
    source = _text(cell.get("source", cell.get("input")))
    if kind == "heading":
        level = cell.get("level")
        yield "#" * (level if isinstance(level, int) and 1 <= level <= 6 else 1) + " " + " ".join(source.split())
    elif kind == "code":
        if source.strip():
            yield fenced(source, language)
        printed = "".join(_printed(_dict(output)) for output in _list(cell.get("outputs")))
        if printed.strip():
            yield fenced(printed[:_OUTPUT_CHARS])
    else:
        yield source


def _printed(output: dict[str, Any]) -> str:
    if output.get("output_type") in {"error", "pyerr"}:
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}\n"
    text = _text(output.get("text")) or _text(_dict(output.get("data")).get("text/plain"))
    return _COLOURS.sub("", text.rstrip() + "\n") if text.strip() else ""


def _language(book: dict[str, Any]) -> str:
    metadata = _dict(book.get("metadata"))
    name = _dict(metadata.get("language_info")).get("name") or _dict(metadata.get("kernelspec")).get("language")
    return name if isinstance(name, str) and re.fullmatch(r"[\w+#.-]{1,30}", name) else "python"


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(piece for piece in value if isinstance(piece, str))
    return value if isinstance(value, str) else ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else []
