"""Files of this machine, copied to memory or disk so that what is hashed is what is parsed.

The path was checked when it was registered, and is checked again here on the open descriptor, because links and
folders may have changed in between.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from gristmill.errors import Forbidden, GristmillError, InvalidInput, LimitExceeded, StepFailed, Unavailable
from gristmill.steps.fetch.landing import land
from gristmill.steps.model import Fetched
from gristmill.steps.paths import check_path, is_inside

__all__ = ["fetch_file"]

_STEP = 1 << 20
_SMALL = _STEP
"""Bytes of a file that are kept in memory: a folder and a copy take longer than reading it."""
_DARWIN_PATH_BYTES = 1024


def fetch_file(path: str, *, root: str, into: Callable[[], Path], max_bytes: int) -> Fetched:
    """A private copy of ``path``, which must be a regular file inside ``root``; ``into`` makes a folder if need be.

    Raises ``Forbidden`` outside ``root``, ``StepFailed`` when there is no such readable file any more,
    ``LimitExceeded`` beyond ``max_bytes`` and ``Unavailable`` when the file changes while it is read.
    """
    name = Path(path).name
    try:
        real, real_root = check_path(path, [root])
    except InvalidInput as error:
        raise StepFailed(error.code, **error.facts) from error
    descriptor = _opened(real, name)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise StepFailed("path_not_regular", name=name)
        if not is_inside(_path_of(descriptor), real_root):
            raise Forbidden("path_outside_roots", name=name)
        if before.st_size > max_bytes:
            raise LimitExceeded("source_too_large", name=name, max_bytes=max_bytes)
        if before.st_size <= _SMALL:
            fetched = _kept(_pieces(descriptor, name), name, before.st_size)
        else:
            fetched = land(_pieces(descriptor, name), into=into(), name=name, max_bytes=max_bytes)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or fetched.size != after.st_size:
        if fetched.path is not None:
            fetched.path.unlink(missing_ok=True)
        raise Unavailable("file_changing", name=name)
    return fetched


def _opened(real: str, name: str) -> int:
    # A FIFO put in the file's place must not block the worker, nor a link lead elsewhere.
    try:
        return os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise StepFailed("path_not_found", name=name) from error
    except OSError as error:
        raise StepFailed("path_not_readable", name=name) from error


def _path_of(descriptor: int) -> str:
    """Where the open file really is; deleted files have no place inside any root."""
    if sys.platform == "darwin":
        import fcntl

        found: bytes = fcntl.fcntl(descriptor, fcntl.F_GETPATH, b"\0" * _DARWIN_PATH_BYTES)
        return os.fsdecode(found.rstrip(b"\0"))
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _kept(pieces: Iterator[bytes], name: str, size: int) -> Fetched:
    data = b""
    for piece in pieces:
        data += piece
        if len(data) > size:
            raise Unavailable("file_changing", name=name)
    return Fetched(data=data, name=name, size=len(data), content_hash=hashlib.sha256(data).hexdigest())


def _pieces(descriptor: int, name: str) -> Iterator[bytes]:
    try:
        while piece := os.read(descriptor, _STEP):
            yield piece
    except OSError as error:
        failure: GristmillError = Unavailable("path_not_readable", name=name)
        raise failure from error
