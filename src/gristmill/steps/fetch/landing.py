"""Where fetched bytes land: a new file that is hashed, counted and capped while it is written."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from gristmill.errors import LimitExceeded
from gristmill.steps.model import Fetched

__all__ = ["land"]


def land(
    pieces: Iterable[bytes], *, into: Path, name: str, max_bytes: int, declared_type: str | None = None
) -> Fetched:
    """Write ``pieces`` to a new file in ``into``; nothing is left behind when they end in an error.

    Raises ``LimitExceeded`` as soon as more than ``max_bytes`` arrive.
    """
    into.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(prefix="fetched-", dir=into)
    path = Path(made)
    digest = hashlib.sha256()
    size = 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in _capped(pieces, name, max_bytes):
                size += len(piece)
                digest.update(piece)
                file.write(piece)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Fetched(path=path, name=name, size=size, content_hash=digest.hexdigest(), declared_type=declared_type)


def _capped(pieces: Iterable[bytes], name: str, max_bytes: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise LimitExceeded("source_too_large", name=name, max_bytes=max_bytes)
        yield piece
