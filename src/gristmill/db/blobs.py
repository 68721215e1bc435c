"""Uploaded bytes as files named by their content, under one directory.

A file appears whole or not at all: written aside, then renamed. Equal uploads share one file. All that a new one has
changed is brought to disk at the end: file systems keep a journal, and what is asked of it together costs one wait.
"""

import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gristmill.clock import Clock
from gristmill.errors import GristmillError, LimitExceeded, NotFound, Unavailable
from gristmill.ids import new_id

__all__ = ["FileBlobStore", "translated"]

_PIECE = 1024 * 1024
_ASKED_AT_ONCE = 500
_BLOB_ID = re.compile(r"[0-9a-f]{64}")


class FileBlobStore:
    """Implements :class:`gristmill.index.ports.BlobStore`; processes of one machine may share the directory."""

    def __init__(self, directory: Path, *, clock: Clock) -> None:
        self._directory = directory
        self._incoming = directory / "incoming"
        self._clock = clock
        self._named: set[Path] = set()
        """Directories whose names are on disk, as far as this process knows; there are 65,536 at most."""

    def put(self, stream: BinaryIO, *, max_bytes: int) -> tuple[str, int]:
        with translated():
            self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            written = self._incoming / new_id()
            try:
                blob_id, size = _write(stream, written, max_bytes)
                target = self._file(blob_id)
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # Its age counts from now even if the same bytes were here before, and a clean-up must not
                # decide by the old age and remove the new file.
                now = self._clock.now() * 1000
                is_there = _holds(target, blob_id)
                with self._alone():
                    if is_there and target.exists():
                        # Others need it: what replaces it would have to be on disk before.
                        os.utime(target, ns=(now, now))
                    else:
                        os.utime(written, ns=(now, now))
                        written.replace(target)
                _sync(target)
                _sync(target.parent)
                if target.parent not in self._named:
                    # Whoever made these directories, a moment ago perhaps, may not have brought their names to disk.
                    _sync(target.parent.parent)
                    _sync(self._directory)
                    self._named.add(target.parent)
            finally:
                written.unlink(missing_ok=True)
        return blob_id, size

    @contextmanager
    def open(self, blob_id: str) -> Iterator[Path]:
        path = self._file(blob_id) if _BLOB_ID.fullmatch(blob_id) else None
        if path is None or not path.is_file():
            raise NotFound("blob_not_found", blob_id=blob_id)
        yield path

    def purge(self, *, in_use: Callable[[Sequence[str]], set[str]], stored_before: int) -> int:
        for left in self._incoming.glob("*"):
            with suppress(FileNotFoundError):
                if _is_older(left, stored_before):
                    left.unlink()
        removed = 0
        old: list[Path] = []
        for path in self._directory.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"):
            with suppress(FileNotFoundError):
                if _is_older(path, stored_before):
                    old.append(path)
            if len(old) == _ASKED_AT_ONCE:
                removed += self._remove_unused(old, in_use, stored_before)
                old = []
        return removed + self._remove_unused(old, in_use, stored_before)

    def _remove_unused(
        self, paths: Sequence[Path], in_use: Callable[[Sequence[str]], set[str]], stored_before: int
    ) -> int:
        if not paths:
            return 0
        kept = in_use([path.name for path in paths])
        removed = 0
        for path in paths:
            if path.name in kept:
                continue
            with self._alone(), suppress(FileNotFoundError):
                if _is_older(path, stored_before):
                    path.unlink()
                    removed += 1
        return removed

    def _file(self, blob_id: str) -> Path:
        return self._directory / blob_id[:2] / blob_id[2:4] / blob_id

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Held by one thread of one process: storing a blob and removing it exclude each other."""
        handle = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _write(stream: BinaryIO, path: Path, max_bytes: int) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > max_bytes:
                raise LimitExceeded("file_too_large", limit_bytes=max_bytes)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest(), size


def _sync(path: Path) -> None:
    """Bring a file or the names in a directory to disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _holds(path: Path, blob_id: str) -> bool:
    """Whether the blob is there, and not what a power cut has left of one."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == blob_id
    except FileNotFoundError:
        return False


def _is_older(path: Path, micros: int) -> bool:
    return path.stat().st_mtime_ns // 1000 < micros


@contextmanager
def translated() -> Iterator[None]:
    """What goes wrong with files inside, as our errors: :class:`LimitExceeded` (``disk_full``), :class:`Unavailable`."""
    try:
        yield
    except OSError as error:
        raise _ours(error) from error


def _ours(error: OSError) -> GristmillError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return LimitExceeded("disk_full")
    # Without the path: clients see these facts.
    return Unavailable("blob_store_unusable", reason=error.strerror or type(error).__name__)
