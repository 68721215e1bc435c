"""Thumbnails lie by the hash of their image, whole or not at all, for as long as a version needs them."""

import os
from pathlib import Path

import pytest

from gristmill.errors import NotFound, Unavailable
from gristmill.steps.image.thumbnails import Thumbnails

ONE, OTHER = "a" * 64, "b" * 64
LATER = 2**62 // 1000


def test_thumbnail_that_was_kept_is_read_again(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path / "thumbnails")
    thumbnails.keep(ONE, b"first")
    thumbnails.keep(ONE, b"again")

    assert thumbnails.read(ONE) == b"again"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{ONE}.jpg"]


@pytest.mark.parametrize("name", ["", "..", "../../secret", "A" * 64, "g" * 64, "a" * 63, OTHER])
def test_what_is_not_there_or_no_hash_is_not_found(tmp_path: Path, name: str) -> None:
    thumbnails = Thumbnails(tmp_path)
    thumbnails.keep(ONE, b"first")

    with pytest.raises(NotFound) as caught:
        thumbnails.read(name)
    assert caught.value.code == "thumbnail_not_found"


def test_purge_leaves_what_is_in_use_and_what_is_new(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path)
    for name in (ONE, OTHER):
        thumbnails.keep(name, b"picture")
    new = "c" * 64
    thumbnails.keep(new, b"new")
    os.utime(tmp_path / "c" / f"{new}.jpg", ns=(2**62, 2**62))

    removed = thumbnails.purge(in_use=lambda names: {ONE} & set(names), stored_before=LATER - 1)

    assert removed == 1
    assert (thumbnails.read(ONE), thumbnails.read(new)) == (b"picture", b"new")
    with pytest.raises(NotFound):
        thumbnails.read(OTHER)


def test_keeping_on_a_full_or_foreign_disk_leaves_no_halves(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / f"{ONE}.jpg").mkdir()

    with pytest.raises(Unavailable) as caught:
        thumbnails.keep(ONE, b"first")
    assert caught.value.code == "blob_store_unusable"
    assert str(tmp_path) not in str(caught.value)
    assert [path.name for path in (tmp_path / "a").iterdir()] == [f"{ONE}.jpg"]
