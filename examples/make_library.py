"""Build the sample library from the readable sources beside this script.

`source/` mirrors `library/`: a file named `Plan.pdf.md` is converted to `Plan.pdf`, any other file is copied byte for
byte, and a folder named `Labels.zip` becomes that archive. Two runs give the same bytes. It knows nothing of Gristmill.
"""

from __future__ import annotations

import argparse
import io
import secrets
import sys
from itertools import count
from pathlib import Path
from typing import Final
from unittest import mock

import pypdf
from library_formats import WRITERS, pack
from library_source import parse

__all__ = ["convert", "main", "make_library"]

HERE: Final = Path(__file__).resolve().parent
TRUNCATED_SHARE: Final = 0.55


def _encrypted(content: bytes, password: str) -> bytes:
    """Return the PDF locked with AES-256; its salts come from a counter: a sample needs sameness, not secrecy."""
    turn = count(1)

    def drawn(size: int = 32) -> bytes:
        return bytes((next(turn) * 37 + place) % 256 for place in range(size))

    target = io.BytesIO()
    with mock.patch.object(secrets, "token_bytes", drawn):
        writer = pypdf.PdfWriter(clone_from=io.BytesIO(content))
        writer.encrypt(password, algorithm="AES-256")
        writer.write(target)
    return target.getvalue()


def convert(path: Path) -> tuple[str, bytes]:
    """Make the library file a source file stands for: its name and its bytes."""
    suffixes = path.suffixes
    if path.suffix != ".md" or len(suffixes) < 2 or suffixes[-2][1:] not in WRITERS:
        return path.name, path.read_bytes()
    source = parse(path.name.removesuffix(".md"), path.read_text("utf-8"))
    content = WRITERS[source.facts.get("format", suffixes[-2][1:])](source)
    if "password" in source.facts:
        content = _encrypted(content, source.facts["password"])
    if source.facts.get("damage") == "truncated":
        content = content[: int(len(content) * TRUNCATED_SHARE)]
    return source.name, content


def make_library(target: Path) -> list[Path]:
    """Write every document of the library under `target` and return their paths, sorted."""
    files: dict[Path, bytes] = {}
    for folder in sorted(path for path in (HERE / "source").rglob("*") if path.is_dir()):
        place = target / folder.relative_to(HERE / "source")
        made = [convert(path) for path in sorted(folder.iterdir()) if path.is_file()]
        if folder.suffix == ".zip":
            files[place] = pack(made)
        else:
            files.update({place / name: content for name, content in made})
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sorted(files)


def main() -> int:
    """Build the library; fail when the folder holds a file that no source makes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=HERE / "library", help="folder to write")
    target: Path = parser.parse_args().target
    written = make_library(target)
    left = sorted({path for path in target.rglob("*") if path.is_file()} - set(written))
    sys.stdout.write(f"{len(written)} documents in {target}\n")
    for path in left:
        sys.stderr.write(f"{path}: no source makes this file; remove it, or add its source\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
