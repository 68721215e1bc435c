"""Image datasets named on the command line: which folders are meant, found out before anything is queued."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["Folders", "find_folders"]

_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Folders:
    """Datasets that lie in one folder, so that one build takes them all."""

    root: Path | None
    """None for the one that is configured."""
    names: list[str]


def find_folders(app: "Gristmill", named: Sequence[str]) -> list[Folders]:
    """What ``named`` means: a folder here, or else one in ``images.root`` of that name; each once.

    :class:`InvalidInput` (``dataset_folder_missing``, ``dataset_named_twice``, ``dataset_name_invalid``),
    :class:`NotFound` (``no_images_found``) of a folder without images that was never built.
    """
    from gristmill.steps.image.datasets import check_names
    from gristmill.steps.image.formats import walk_images

    places: dict[str, tuple[Path, Path | None]] = {}
    for given in named:
        place, root = _place(app, given)
        check_names([place.name])
        known, _ = places.setdefault(place.name, (place, root))
        if known != place:
            raise InvalidInput("dataset_named_twice", field="DIR", value=place.name, one=str(known), other=str(place))
        # Of a folder that was built and is empty now, the build knows what to say.
        if not _is_built(app, place.name) and next(walk_images(place), None) is None:
            raise NotFound("no_images_found", name=place.name)
    folders: dict[Path | None, list[str]] = {}
    for name, (_, root) in places.items():
        folders.setdefault(root, []).append(name)
    return [Folders(root, names) for root, names in folders.items()]


def _place(app: "Gristmill", given: str) -> tuple[Path, Path | None]:
    """The folder that is meant, links resolved, and the root to build it under."""
    with suppress(OSError, RuntimeError):
        path = Path(given).expanduser()
        if path.is_dir():
            # A link that was named is followed: its owner is the one who asks.
            real = Path(os.path.realpath(path))
            return real, real.parent
        root = app.datasets.root
        if root is not None and given in app.datasets.names():
            return Path(os.path.realpath(root)) / given, None
    raise InvalidInput(
        "dataset_folder_missing", field="DIR", value=given, known=", ".join(app.datasets.names()[:_MOST_TOLD]) or "-"
    )


def _is_built(app: "Gristmill", name: str) -> bool:
    with suppress(NotFound):
        return app.index.collection(name).document_count > 0
    return False
