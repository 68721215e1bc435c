"""The material of the benchmarks: the sample library with edited copies, and pages made of the standard library's docs.

Nothing is downloaded, and the same Python makes the same corpus. Copies are edited throughout, because equal chunks
would be embedded once.
"""

import ast
import io
import json
import re
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from html import escape
from itertools import count
from pathlib import Path

from gristmill.app.documents import walk_files

__all__ = ["LIBRARY", "long_document", "pages", "write_corpus"]

LIBRARY = Path(__file__).parent.parent / "examples" / "library"

_LEAST_CHARS = 2000
_LINES = {".md", ".txt", ".srt", ".csv", ".tsv"}
_NODES = {".html"}
_ZIPS = {".docx", ".pptx", ".xlsx", ".odt", ".epub"}
_MEMBER = re.compile(r"word/document\.xml|ppt/slides/slide\d+\.xml|xl/sharedStrings\.xml|content\.xml|.*\.x?html")
_NODE = re.compile(r">([^<>]{12,})<")
_EDITED_LINE_CHARS = 20


@cache
def pages() -> tuple[tuple[str, str], ...]:
    """Markdown pages (name, text), one for each well documented module of the standard library."""
    found = []
    for source in sorted(Path(sysconfig.get_path("stdlib")).glob("[a-z]*.py")):
        text = "\n".join(_documented(ast.parse(source.read_bytes()), source.stem, 1))
        if len(text) >= _LEAST_CHARS:
            found.append((f"{source.stem}.md", text))
    return tuple(found)


def _documented(node: ast.Module | ast.ClassDef | ast.FunctionDef, name: str, level: int) -> Iterator[str]:
    if text := ast.get_docstring(node):
        yield f"{'#' * level} {name}\n\n{text}\n"
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            yield from _documented(child, f"{name}.{child.name}", min(level + 1, 6))


def long_document(size: int) -> str:
    """About ``size`` characters of prose without repetition."""
    text = ""
    for number in count():
        for _, page in pages():
            text += page if number == 0 else _lines(page, number)
            if len(text) >= size:
                return text[:size]
    raise AssertionError


def write_corpus(folder: Path, files: int) -> list[Path]:
    """Write ``files`` documents: the library itself, then pages and edited copies of the library by turns."""
    originals = list(walk_files(LIBRARY))
    written = [_write(folder, 0, path.name, path.read_bytes()) for path in originals[:files]]
    others = _alternating(originals)
    while len(written) < files:
        number, name, data = next(others)
        written.append(_write(folder, number, name, data))
    return written


def _alternating(originals: list[Path]) -> Iterator[tuple[int, str, bytes]]:
    for number in count(1):
        copies = ((path.name, data) for path in originals if (data := _edited(path, number)) is not None)
        for name, text in pages():
            if copy := next(copies, None):
                yield number, *copy
            yield number, *_shaped(name, _lines(text, number) if number > 1 else text)


def _shaped(name: str, text: str) -> tuple[str, bytes]:
    """The page in one of the forms such pages come in, always the same one for the same name."""
    stem = name.removesuffix(".md")
    match sum(name.encode()) % 4:
        case 0:
            sections = [{"name": part.split("\n", 1)[0], "text": part} for part in text.split("\n#")]
            return f"{stem}.json", json.dumps({"module": stem, "sections": sections}, indent=2).encode()
        case 1:
            parts = (f"<p>{escape(part)}</p>" for part in text.split("\n\n"))
            return f"{stem}.html", f"<html><title>{stem}</title><body>{''.join(parts)}</body></html>".encode()
    return name, text.encode()


def _write(folder: Path, number: int, name: str, data: bytes) -> Path:
    path = folder / f"{number:03}" / name
    path.parent.mkdir(exist_ok=True)
    # Two folders of the library may have a file of the same name.
    while path.exists():
        path = path.with_stem(f"{path.stem}+")
    path.write_bytes(data)
    return path


def _edited(path: Path, number: int) -> bytes | None:
    """The document with ``number`` written all over it; None for a format that cannot be edited by hand."""
    suffix = path.suffix.lower()
    if suffix in _ZIPS:
        # The library has documents that are damaged or encrypted.
        if not zipfile.is_zipfile(path):
            return None
        return _edited_zip(path, number)
    edit: Callable[[str, int], str]
    if suffix in _LINES:
        edit = _lines
    elif suffix in _NODES:
        edit = _nodes
    else:
        return None
    try:
        return edit(path.read_text("utf-8"), number).encode()
    except UnicodeDecodeError:
        return None


def _lines(text: str, number: int) -> str:
    lines = text.splitlines()
    return "\n".join(f"{line} ({number})" if len(line) >= _EDITED_LINE_CHARS else line for line in lines)


def _nodes(text: str, number: int) -> str:
    return _NODE.sub(lambda match: f">{match[1]} ({number})<", text)


def _edited_zip(path: Path, number: int) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            data = source.read(member)
            if _MEMBER.fullmatch(member.filename):
                data = _nodes(data.decode("utf-8"), number).encode()
            target.writestr(member, data)
    return written.getvalue()
