"""The readable source of one sample document: header lines and blocks in reading order.

It owns the small Markdown dialect of `source/` and must not know any file format it becomes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Block", "Source", "lines_of", "parse", "sections_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One piece of a source: `kind` is a heading (h1-h3), p, ul, table, note or a code fence's language."""

    kind: str
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A parsed source text: its header lines and its blocks in reading order."""

    name: str
    facts: dict[str, str]
    body: str
    blocks: tuple[Block, ...]

    @property
    def title(self) -> str:
        """The first top heading, or the file's own name."""
        return next((block.text for block in self.blocks if block.kind == "h1"), Path(self.name).stem)

    @property
    def author(self) -> str:
        """Who wrote it, as the header says."""
        return self.facts.get("author", "Sallow Weir Mill Trust")

    @property
    def chinese(self) -> bool:
        """Whether the text needs Chinese fonts and line breaking."""
        return any("\u4e00" <= char <= "\u9fff" for char in self.body)

    @property
    def language(self) -> str:
        """The language tag of the document."""
        return "zh-CN" if self.chinese else "en-GB"


def parse(name: str, text: str) -> Source:
    """Split a source text into header lines (between two `---`) and blocks."""
    facts: dict[str, str] = {}
    body = text
    if text.startswith("---\n"):
        header, _, body = text[4:].partition("\n---\n")
        facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in header.splitlines())}
    return Source(name=name, facts=facts, body=body.strip() + "\n", blocks=tuple(_blocks(body)))


def _blocks(body: str) -> Iterator[Block]:
    """Text outside the fences in pieces, code inside them as it stands."""
    parts = re.split(r"^```(\w+)\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL)
    yield from _pieces(parts[0])
    for language, code, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        yield Block(kind=language, text=code.rstrip("\n"))
        yield from _pieces(text)


def _pieces(text: str) -> Iterator[Block]:
    """Text between fences: blank lines separate blocks, the first characters of a block name its kind."""
    spaced = re.sub(r"^(#+ .*)$", r"\n\1\n", text, flags=re.MULTILINE)
    for piece in re.split(r"\n\s*\n", spaced):
        lines = piece.strip().splitlines()
        if not lines:
            continue
        first = lines[0]
        if heading := re.match(r"(#{1,3}) (.*)", first):
            yield Block(kind=f"h{len(heading[1])}", text=heading[2])
        elif first.startswith("- "):
            yield Block(kind="ul", rows=tuple((line.removeprefix("- "),) for line in lines))
        elif first.startswith("|"):
            kept = [line for line in lines if not re.fullmatch(r"[|\-: ]+", line)]
            yield Block(kind="table", rows=tuple(tuple(c.strip() for c in line.strip("|").split("|")) for line in kept))
        elif first.startswith("> "):
            yield Block(kind="note", text=_join(line.removeprefix("> ") for line in lines))
        else:
            yield Block(kind="p", text=_join(lines))


def _join(lines: Iterable[str]) -> str:
    # A Chinese line break in the source is not a space in the text.
    return re.sub(r"(?<=[\u3000-\uffef])\n(?=[\u2e80-\uffef])", "", "\n".join(lines)).replace("\n", " ")


def sections_of(source: Source) -> list[tuple[str, list[Block]]]:
    """Group the blocks under their second-level heading; what precedes the first is the opening section."""
    groups: list[tuple[str, list[Block]]] = [(source.title, [])]
    for block in source.blocks:
        if block.kind == "h2":
            groups.append((block.text, []))
        elif block.kind != "h1":
            groups[-1][1].append(block)
    return [group for group in groups if group[1]]


def lines_of(block: Block) -> list[str]:
    """Return the block as plain lines; the cells of a table row are separated by tabs."""
    if block.kind == "table":
        return ["\t".join(row) for row in block.rows]
    return [row[0] for row in block.rows] if block.rows else [block.text]
