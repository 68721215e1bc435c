"""What may be registered: the files of a folder, a file, an address, each as the document it will be.

Standard library only, because the API registers too. Opens nothing: what is behind a name is read when it is indexed.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from gristmill.errors import InvalidInput
from gristmill.index.model import Material, NewDocument, Origin
from gristmill.steps.formats import BY_SUFFIX, Format
from gristmill.steps.image.formats import is_image_name
from gristmill.steps.names import shortened

__all__ = ["address_document", "check_url", "file_document", "is_url", "material_of", "printable", "walk_files"]

_NAME_CHARS = 255


def is_url(source: str) -> bool:
    """Whether ``source`` names something on the web rather than a file."""
    return "://" in source


def check_url(url: str) -> None:
    """:class:`InvalidInput` unless ``url`` is an http or https address with a host; fetching it checks far more."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise InvalidInput("url_invalid", field="url", reason="not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise InvalidInput("url_scheme_unsupported", field="url", scheme=parts.scheme or "none")
    if not usable:
        raise InvalidInput("url_invalid", field="url", reason="no usable host or port")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("url_with_credentials", field="url", host=parts.hostname)


def walk_files(folder: Path) -> Iterator[Path]:
    """The files below ``folder`` whose format is known, in a stable order; hidden files and folders are passed over."""
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and PurePath(name).suffix.lower() in BY_SUFFIX:
                yield Path(directory) / name


def file_document(real: str, root: str) -> NewDocument:
    """The file at ``real``, which must not leave ``root``; both come from :mod:`gristmill.steps.paths`."""
    status = Path(real).stat()
    return NewDocument(
        source=real,
        origin=Origin.PATH,
        name=printable(PurePath(real).name),
        material=material_of(real),
        root=root,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )


def address_document(url: str) -> NewDocument:
    """What is at ``url``; whether that may be fetched is decided when it is. Raises what :func:`check_url` does."""
    check_url(url)
    name = unquote(PurePath(urlsplit(url).path).name) or urlsplit(url).netloc
    return NewDocument(source=url, origin=Origin.URL, name=printable(name), material=material_of(name))


def material_of(name: str) -> Material:
    """What kind of material a file of that name is."""
    if is_image_name(name):
        return Material.IMAGE
    return Material.CODE if BY_SUFFIX.get(PurePath(name).suffix.lower()) is Format.CODE else Material.TEXT


def printable(name: str) -> str:
    """``name`` as a document may be called."""
    return shortened("".join(char for char in name if char.isprintable()), _NAME_CHARS)
