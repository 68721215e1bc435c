"""What changed from one version of a document to another: which chunks came, went or changed, and what in them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gristmill.index.alignment import aligned
from gristmill.index.model import PlacedChunk

__all__ = ["Change", "ChangeKind", "Difference", "Stretch", "StretchKind", "difference", "stretches"]

# A word with what stands before it, so that spaces are no words of their own; a Chinese character is one.
_WORD = re.compile(r"\s*[\u3400-\u9fff\uf900-\ufaff]|\s*[^\W\u3400-\u9fff\uf900-\ufaff]+|\s*[^\w\s]|\s+")


class ChangeKind(StrEnum):
    """What became of a chunk."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One chunk that is not the same in both versions."""

    kind: ChangeKind
    before: PlacedChunk | None
    after: PlacedChunk | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All changes, in the order of the text; a chunk that moved is removed in one place and added in another."""

    changes: Sequence[Change]
    unchanged: int

    def count(self, kind: ChangeKind) -> int:
        """How many chunks it became of."""
        return sum(change.kind is kind for change in self.changes)


class StretchKind(StrEnum):
    """Where a stretch of text stands."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some text that is in both, or in one of them."""

    kind: StretchKind
    text: str


def difference(before: Sequence[PlacedChunk], after: Sequence[PlacedChunk]) -> Difference:
    """Compare two versions by the contents of their chunks.

    Between two stretches of equal chunks, chunks that stand at the same place are the same chunk changed.
    """
    changes: list[Change] = []
    unchanged = 0
    for span in aligned([chunk.content_hash for chunk in before], [chunk.content_hash for chunk in after]):
        if span.is_same:
            unchanged += span.last - span.first
        else:
            changes += _changes(before[span.first : span.last], after[span.new_first : span.new_last])
    return Difference(changes=changes, unchanged=unchanged)


def _changes(old: Sequence[PlacedChunk], new: Sequence[PlacedChunk]) -> Iterator[Change]:
    for was, became in zip(old, new, strict=False):
        yield Change(kind=ChangeKind.CHANGED, before=was, after=became)
    for gone in old[len(new) :]:
        yield Change(kind=ChangeKind.REMOVED, before=gone, after=None)
    for fresh in new[len(old) :]:
        yield Change(kind=ChangeKind.ADDED, before=None, after=fresh)


def stretches(change: Change) -> list[Stretch]:
    """The texts of a change as one, word by word: put together, the same and the removed make up the old one."""
    old = _WORD.findall(change.before.text) if change.before else []
    new = _WORD.findall(change.after.text) if change.after else []
    found: list[Stretch] = []
    for span in aligned(old, new):
        if span.is_same:
            found.append(Stretch(StretchKind.SAME, "".join(old[span.first : span.last])))
            continue
        if span.last > span.first:
            found.append(Stretch(StretchKind.REMOVED, "".join(old[span.first : span.last])))
        if span.new_last > span.new_first:
            found.append(Stretch(StretchKind.ADDED, "".join(new[span.new_first : span.new_last])))
    return found
