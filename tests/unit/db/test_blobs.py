"""Uploaded bytes: whole or absent, shared by content, removed only when nobody needs them."""

import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gristmill.db.blobs import FileBlobStore
from gristmill.errors import LimitExceeded, NotFound
from tests.contracts.shelf import FixedClock

PLENTY = 10_000_000


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def blobs(tmp_path: Path, clock: FixedClock) -> FileBlobStore:
    return FileBlobStore(tmp_path / "blobs", clock=clock)


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file() and path.name != "lock")


def unused(_blob_ids: Sequence[str]) -> set[str]:
    return set()


@pytest.mark.parametrize("data", [b"", b"abc", bytes(range(256)) * 10_000])
def test_blob_comes_back_as_it_was_put(blobs: FileBlobStore, data: bytes) -> None:
    blob_id, size = blobs.put(io.BytesIO(data), max_bytes=PLENTY)

    assert (blob_id, size) == (hashlib.sha256(data).hexdigest(), len(data))
    with blobs.open(blob_id) as path:
        assert path.read_bytes() == data


def test_equal_bytes_are_kept_once_however_often_they_are_put(blobs: FileBlobStore, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = {blob_id for blob_id, _ in pool.map(lambda _: blobs.put(io.BytesIO(b"same"), max_bytes=9), range(32))}

    assert files(tmp_path) == sorted(ids)
    assert len(ids) == 1


def test_file_that_a_power_cut_spoilt_is_replaced_when_its_bytes_are_put_again(
    blobs: FileBlobStore, tmp_path: Path
) -> None:
    blob_id, size = blobs.put(io.BytesIO(b"whole"), max_bytes=9)
    (spoilt,) = (path for path in (tmp_path / "blobs").rglob(blob_id))
    spoilt.write_bytes(bytes(size))

    blobs.put(io.BytesIO(b"whole"), max_bytes=9)

    with blobs.open(blob_id) as path:
        assert path.read_bytes() == b"whole"


def test_bytes_that_are_there_are_not_written_anew(blobs: FileBlobStore, tmp_path: Path) -> None:
    blob_id, _ = blobs.put(io.BytesIO(b"needed by others"), max_bytes=99)
    with blobs.open(blob_id) as path:
        before = path.stat().st_ino

    blobs.put(io.BytesIO(b"needed by others"), max_bytes=99)

    with blobs.open(blob_id) as path:
        assert path.stat().st_ino == before
    assert files(tmp_path) == [blob_id]


@pytest.mark.parametrize(("size", "kept"), [(2_000_000, 1), (2_000_001, 0)])
def test_cap_is_exact_and_leaves_nothing_when_exceeded(
    blobs: FileBlobStore, tmp_path: Path, size: int, kept: int
) -> None:
    stream = io.BytesIO(bytes(size))

    if kept:
        blobs.put(stream, max_bytes=2_000_000)
    else:
        with pytest.raises(LimitExceeded, match="2000000"):
            blobs.put(stream, max_bytes=2_000_000)

    assert len(files(tmp_path)) == kept


def test_stream_that_breaks_off_leaves_nothing(blobs: FileBlobStore, tmp_path: Path) -> None:
    class Broken(io.RawIOBase):
        def __init__(self) -> None:
            self.pieces = [b"half"]

        def read(self, _size: int = -1) -> bytes:
            if self.pieces:
                return self.pieces.pop()
            raise ValueError("connection closed")

    with pytest.raises(ValueError, match="connection closed"):
        blobs.put(Broken(), max_bytes=PLENTY)  # type: ignore[arg-type]  # only read() is asked of a stream

    assert files(tmp_path) == []


@pytest.mark.parametrize("blob_id", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 63 + "\n"])
def test_unknown_blob_is_not_found(blobs: FileBlobStore, blob_id: str) -> None:
    with pytest.raises(NotFound), blobs.open(blob_id):
        pass


def test_purge_removes_old_unused_blobs_only(blobs: FileBlobStore, clock: FixedClock) -> None:
    used, _ = blobs.put(io.BytesIO(b"used"), max_bytes=9)
    old, _ = blobs.put(io.BytesIO(b"old"), max_bytes=9)
    clock.micros += 1000
    young, _ = blobs.put(io.BytesIO(b"young"), max_bytes=9)

    removed = blobs.purge(in_use=lambda ids: {used} & set(ids), stored_before=clock.now())

    assert removed == 1
    for kept in (used, young):
        with blobs.open(kept) as path:
            assert path.exists()
    with pytest.raises(NotFound), blobs.open(old):
        pass


def test_purge_spares_a_blob_that_is_put_again_while_it_asks(blobs: FileBlobStore, clock: FixedClock) -> None:
    blob_id, _ = blobs.put(io.BytesIO(b"again"), max_bytes=9)
    clock.micros += 1000
    limit = clock.now()

    def put_again(_blob_ids: Sequence[str]) -> set[str]:
        blobs.put(io.BytesIO(b"again"), max_bytes=9)
        return set()

    assert blobs.purge(in_use=put_again, stored_before=limit) == 0
    with blobs.open(blob_id) as path:
        assert path.read_bytes() == b"again"


def test_purge_removes_what_a_killed_upload_left(blobs: FileBlobStore, tmp_path: Path, clock: FixedClock) -> None:
    blobs.put(io.BytesIO(b"whole"), max_bytes=9)
    left = tmp_path / "blobs" / "incoming" / "half"
    left.write_bytes(b"ha")

    blobs.purge(in_use=set, stored_before=int(left.stat().st_mtime_ns // 1000) + 1)

    assert not left.exists()


def test_purge_of_a_store_never_used_does_nothing(blobs: FileBlobStore, clock: FixedClock) -> None:
    assert blobs.purge(in_use=unused, stored_before=clock.now()) == 0
