"""What a caller names: files, folders, URLs and bytes, told apart."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from gristmill.errors import NotFound

__all__ = ["Opened", "sorted_out"]

_Upload = tuple[str, tuple[str, IO[bytes] | bytes]]


@dataclass(frozen=True, slots=True)
class Opened:
    """What there is to hand in."""

    urls: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    contents: list[tuple[str, bytes]] = field(default_factory=list)

    @contextmanager
    def opened(self, batch: Sequence[Path | tuple[str, bytes]]) -> Iterator[list[_Upload]]:
        """Files and contents as the parts of an upload."""
        with ExitStack() as stack:
            yield [
                ("files", (one.name, stack.enter_context(one.open("rb")))) if isinstance(one, Path) else ("files", one)
                for one in batch
            ]


def sorted_out(sources: Sequence[str | Path | tuple[str, bytes]]) -> Opened:
    """Tell apart what ``sources`` are; of a folder, the files in it whose format is known.

    :class:`NotFound` (``path_not_found``) for a file that is not there.
    """
    from gristmill.steps.sources import walk_files

    found = Opened()
    for source in sources:
        if isinstance(source, tuple):
            found.contents.append(source)
        elif "://" in str(source):
            found.urls.append(str(source))
        else:
            path = Path(source).expanduser().absolute()
            if not path.exists():
                raise NotFound("path_not_found", name=path.name)
            found.files.extend(walk_files(path) if path.is_dir() else [path])
    return found
