"""Image datasets by name: folders under one root.

Standard library only, because the API asks too.
"""

from collections.abc import Sequence
from pathlib import Path

from gristmill.errors import InvalidInput, NotFound
from gristmill.steps.paths import check_place

__all__ = ["check_names", "dataset_folder", "dataset_names"]

_NAME_CHARS = 100
"""What the name of a collection may have."""
_MOST_TOLD = 20


def check_names(names: Sequence[str]) -> list[str]:
    """Each name once, in order; :class:`InvalidInput` (``list_empty``, ``dataset_name_invalid``)."""
    if not names:
        raise InvalidInput("list_empty", field="dataset_names")
    for name in names:
        is_folder = name == name.strip() and name.isprintable() and not name.startswith(".") and "/" not in name
        if not name or not is_folder or "\\" in name or len(name) > _NAME_CHARS:
            raise InvalidInput("dataset_name_invalid", field="dataset_names", value=name[:_NAME_CHARS])
    return list(dict.fromkeys(names))


def dataset_names(root: Path) -> list[str]:
    """The datasets under ``root``."""
    try:
        return sorted(place.name for place in root.iterdir() if not place.name.startswith(".") and place.is_dir())
    except OSError:
        return []


def dataset_folder(name: str, root: Path | None) -> tuple[str, str]:
    """The folder of the dataset and the root it lies in, links resolved.

    :class:`InvalidInput` (``images_root_unset``), :class:`NotFound` (``dataset_not_found``, which names those there
    are), and what :func:`~gristmill.steps.paths.check_place` raises of a link that leads out.
    """
    check_names([name])
    if root is None:
        raise InvalidInput("images_root_unset", field="dataset_names")
    if not (root / name).is_dir():
        known = dataset_names(root)
        raise NotFound("dataset_not_found", dataset=name, known=", ".join(known[:_MOST_TOLD]) or "-")
    return check_place(str(root.absolute() / name), [str(root)])
