"""Which files of this machine may be read.

Standard library only, because the API asks when a path is registered. Answers nothing about what lies outside the
allowed folders, not even whether it exists.
"""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from gristmill.errors import Forbidden, InvalidInput

__all__ = ["check_path", "check_place", "is_inside"]


def check_path(path: str, roots: Sequence[str]) -> tuple[str, str]:
    """The real path of ``path``, links resolved, and the root it lies in.

    Raises ``InvalidInput`` for a path that is not absolute, does not exist, cannot be read, is no regular file or no
    UTF-8, and ``Forbidden`` for one outside all ``roots``.
    """
    real, root, mode = _found(path, roots, is_inside)
    if not stat.S_ISREG(mode):
        raise InvalidInput("path_not_regular", field="path", name=Path(path).name)
    return real, root


def check_place(path: str, roots: Sequence[str]) -> tuple[str, str]:
    """What :func:`check_path` does, for folders as well, the roots themselves included."""
    real, root, mode = _found(path, roots, lambda real, root: real == root or is_inside(real, root))
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InvalidInput("path_not_regular", field="path", name=Path(path).name)
    return real, root


def _found(path: str, roots: Sequence[str], is_allowed: Callable[[str, str], bool]) -> tuple[str, str, int]:
    given = Path(path)
    name = given.name
    if "\0" in path or not given.is_absolute():
        raise InvalidInput("path_not_absolute", field="path", name=name.replace("\0", ""))
    try:
        real = os.path.realpath(path)
    except OSError as error:
        # A link that is replaced while it is followed.
        raise InvalidInput("path_not_readable", field="path", name=name) from error
    root = next((real_root for root in roots if is_allowed(real, real_root := os.path.realpath(root))), None)
    if root is None:
        raise Forbidden("path_outside_roots", name=name)
    try:
        mode = Path(real).stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidInput("path_not_found", field="path", name=name) from error
    except OSError as error:
        raise InvalidInput("path_not_readable", field="path", name=name) from error
    if not _is_text(real):
        # No database could keep it.
        raise InvalidInput("path_not_text", field="path", name=ascii(name)[1:-1])
    return real, root, mode


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_inside(real: str, root: str) -> bool:
    """Whether ``real`` lies in the folder ``root``; both must be resolved already."""
    folder = root.rstrip(os.sep) + os.sep
    return real.startswith(folder)
