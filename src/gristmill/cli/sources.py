"""What the user named on the command line: files, folders and addresses, sorted out before anything is registered."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.errors import GristmillError, NotFound

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.index.model import Document

__all__ = ["Refused", "Sources", "gather", "register"]


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that cannot be registered, and why."""

    name: str
    error: GristmillError


@dataclass(frozen=True, slots=True)
class Sources:
    """What there is to register."""

    files: list[tuple[str, str]] = field(default_factory=list)
    """Files with the folder each must not leave."""
    urls: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def gather(named: Sequence[str]) -> Sources:
    """Sort out what ``named`` means; each file once.

    :class:`~gristmill.errors.InvalidInput` for a name that is nothing at all, :class:`NotFound` (``no_files_found``)
    if folders are all there is and they hold nothing that can be read. A bad file inside a folder is refused alone.
    """
    from gristmill.app.documents import is_url, walk_files
    from gristmill.steps.paths import check_path

    sources = Sources()
    seen: set[str] = set()
    for name in named:
        if is_url(name):
            if name not in seen:
                seen.add(name)
                sources.urls.append(name)
            continue
        path = Path(name).expanduser().absolute()
        if not path.is_dir():
            # A link that was named is followed: its owner is the one who asks.
            real, root = check_path(str(path), [str(Path(os.path.realpath(path)).parent)])
            if real not in seen:
                seen.add(real)
                sources.files.append((real, root))
            continue
        for file in walk_files(path):
            try:
                real, root = check_path(str(file), [str(path)])
            except GristmillError as error:
                shown = str(file.relative_to(path)).encode(errors="replace").decode()
                sources.refused.append(Refused(shown, error))
                continue
            if real not in seen:
                seen.add(real)
                sources.files.append((real, root))
    if not (sources.files or sources.urls or sources.refused):
        raise NotFound("no_files_found", name=", ".join(Path(name).name or name for name in named))
    return sources


def register(app: "Gristmill", sources: Sources, collection: str) -> "list[Document]":
    """Register everything that was found; nothing is indexed yet. Raises if every single file was refused."""
    documents: list[Document] = []
    if sources.files:
        documents += app.documents.register_local(sources.files, collection=collection)
    if sources.urls:
        documents += app.documents.register_urls(sources.urls, collection=collection)
    if not documents:
        raise sources.refused[0].error
    return documents
