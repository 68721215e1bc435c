"""Where thumbnails lie: one file for each image by the hash of its bytes, made once however often it is indexed.

Standard library only, because the API serves them.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from gristmill.db.blobs import translated
from gristmill.errors import NotFound
from gristmill.ids import new_id

__all__ = ["Thumbnails"]

_HASH = re.compile(r"[0-9a-f]{64}")
_ASKED_AT_ONCE = 500


class Thumbnails:
    """The thumbnails in one directory, which the processes of one machine may share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, content_hash: str, thumbnail: bytes) -> None:
        """Keep the thumbnail of the image with that hash; it is there whole or not at all.

        :class:`LimitExceeded` (``disk_full``), :class:`Unavailable` (``blob_store_unusable``).
        """
        place = self._place(content_hash)
        written = place.with_name(f".{new_id()}")
        with translated():
            try:
                try:
                    written.write_bytes(thumbnail)
                except FileNotFoundError:
                    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    written.write_bytes(thumbnail)
                written.replace(place)
            except BaseException:
                written.unlink(missing_ok=True)
                raise

    def read(self, content_hash: str) -> bytes:
        """The thumbnail; :class:`NotFound` (``thumbnail_not_found``)."""
        try:
            return self._place(content_hash).read_bytes()
        except OSError as error:
            raise NotFound("thumbnail_not_found") from error

    def purge(self, *, in_use: Callable[[Sequence[str]], set[str]], stored_before: int) -> int:
        """Remove those stored before the given time (microseconds) whose images ``in_use`` does not name; how many."""
        removed = 0
        old: list[Path] = []
        for place in self._directory.glob("[0-9a-f]/*"):
            with suppress(FileNotFoundError):
                if place.stat().st_mtime_ns // 1000 < stored_before:
                    old.append(place)
            if len(old) == _ASKED_AT_ONCE:
                removed += _remove_unused(old, in_use)
                old = []
        return removed + _remove_unused(old, in_use)

    def _place(self, content_hash: str) -> Path:
        if not _HASH.fullmatch(content_hash):
            raise NotFound("thumbnail_not_found")
        return self._directory / content_hash[:1] / f"{content_hash}.jpg"


def _remove_unused(places: Sequence[Path], in_use: Callable[[Sequence[str]], set[str]]) -> int:
    if not places:
        return 0
    kept = in_use([place.stem for place in places])
    unused = [place for place in places if place.stem not in kept]
    for place in unused:
        place.unlink(missing_ok=True)
    return len(unused)
