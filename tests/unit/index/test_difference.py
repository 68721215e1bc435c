"""The difference of two versions: nothing is left out of it, and what stayed is not in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.ids import content_hash
from gristmill.index.difference import Change, ChangeKind, Stretch, StretchKind, difference, stretches
from gristmill.index.model import ChunkPlace, PlacedChunk

TEXTS = st.lists(st.sampled_from(["mill", "weir", "wheel", "stone", "race"]), max_size=8)


def chunks(*texts: str) -> list[PlacedChunk]:
    return [
        PlacedChunk(position=number, content_hash=content_hash(text), text=text, place=ChunkPlace(start=0, end=9))
        for number, text in enumerate(texts)
    ]


def told(before: list[str], after: list[str]) -> list[tuple[str, str | None, str | None]]:
    found = difference(chunks(*before), chunks(*after))
    return [
        (
            change.kind.value,
            None if change.before is None else change.before.text,
            None if change.after is None else change.after.text,
        )
        for change in found.changes
    ]


def changed(old: str, new: str) -> Change:
    (before,), (after,) = chunks(old), chunks(new)
    return Change(kind=ChangeKind.CHANGED, before=before, after=after)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["a", "b"], ["a", "b"], []),
        (["a", "b"], ["new", "a", "b"], [("added", None, "new")]),
        (["a", "b", "c"], ["a", "c"], [("removed", "b", None)]),
        (["a", "b", "c"], ["a", "B", "c"], [("changed", "b", "B")]),
        (["a", "b", "c"], ["a", "x", "y", "c"], [("changed", "b", "x"), ("added", None, "y")]),
        (["a", "b", "c"], [], [("removed", "a", None), ("removed", "b", None), ("removed", "c", None)]),
        (["a", "b", "c", "d"], ["b", "c", "d", "a"], [("removed", "a", None), ("added", None, "a")]),
    ],
)
def test_chunks_that_differ_are_told_in_order(
    before: list[str], after: list[str], expected: list[tuple[str, str | None, str | None]]
) -> None:
    assert told(before, after) == expected


@given(TEXTS, TEXTS)
def test_every_chunk_is_unchanged_or_told_of(before: list[str], after: list[str]) -> None:
    found = difference(chunks(*before), chunks(*after))

    removed = [change.before.text for change in found.changes if change.before]
    added = [change.after.text for change in found.changes if change.after]
    assert len(removed) + found.unchanged == len(before)
    assert len(added) + found.unchanged == len(after)
    assert sum(map(found.count, ChangeKind)) == len(found.changes)
    left = sorted(before)
    for text in removed:
        left.remove(text)
    assert left == sorted(set_aside(after, added))


def set_aside(texts: list[str], some: list[str]) -> list[str]:
    left = list(texts)
    for text in some:
        left.remove(text)
    return left


def test_words_that_differ_are_told_in_both_languages() -> None:
    assert stretches(changed("The wheel turns slowly.", "The wheel stands.")) == [
        Stretch(StretchKind.SAME, "The wheel"),
        Stretch(StretchKind.REMOVED, " turns slowly"),
        Stretch(StretchKind.ADDED, " stands"),
        Stretch(StretchKind.SAME, "."),
    ]
    assert stretches(changed("水车缓缓转动", "水车转动")) == [
        Stretch(StretchKind.SAME, "水车"),
        Stretch(StretchKind.REMOVED, "缓缓"),
        Stretch(StretchKind.SAME, "转动"),
    ]


@given(st.text(max_size=60), st.text(max_size=60))
def test_both_texts_can_be_put_together_again(old: str, new: str) -> None:
    found = stretches(changed(old, new))

    assert "".join(one.text for one in found if one.kind is not StretchKind.ADDED) == old
    assert "".join(one.text for one in found if one.kind is not StretchKind.REMOVED) == new
