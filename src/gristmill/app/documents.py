"""Documents from the user's side: hand in, index, look, delete. The same for HTTP, command line and library.

Registers and submits; reading and parsing happen in workers.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from gristmill.app.embedders import Embedders
from gristmill.errors import InvalidInput, LimitExceeded, NotFound
from gristmill.index.model import Collection, Document, Material, NewDocument, Origin
from gristmill.index.ports import BlobStore, IndexStore
from gristmill.index.recipe import Selection, select_stale
from gristmill.settings.model import Settings
from gristmill.steps.formats import BY_SUFFIX, Format
from gristmill.steps.names import shortened
from gristmill.steps.paths import check_path
from gristmill.tasks.model import NewTask, Task
from gristmill.tasks.service import TaskService

__all__ = ["Documents", "check_url", "is_url", "upload_name", "walk_files"]

_NAME_CHARS = 255
_COLLECTION_CHARS = 100


class Documents:
    """What one may do with documents and collections."""

    def __init__(
        self, index: IndexStore, blobs: BlobStore, tasks: TaskService, embedders: Embedders, settings: Settings
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._tasks = tasks
        self._embedders = embedders
        self._settings = settings

    def collection(self, name: str, *, embedder: str | None = None) -> Collection:
        """The collection ``name``, created with the configured or the named embedder if it is new."""
        _check_collection_name(name)
        with suppress(NotFound):
            return self._index.collection(name)
        settings = self._embedders.collection_settings(self._settings.index, embedder=embedder)
        return self._index.ensure_collection(name, settings)

    def register_upload(
        self, stream: BinaryIO, *, filename: str | None, collection: str, declared_type: str | None = None
    ) -> Document:
        """Keep the bytes of ``stream`` and register them under ``filename``.

        A later upload of the same name in the collection is the same document with new content.
        """
        name = upload_name(filename)
        self.collection(collection)
        blob_id, size = self.keep(stream)
        return self._index.register(
            collection,
            [
                NewDocument(
                    source=f"upload:{name}",
                    origin=Origin.UPLOAD,
                    name=name,
                    material=_material(name),
                    blob_id=blob_id,
                    size=size,
                    declared_type=declared_type,
                )
            ],
        )[0]

    def keep(self, stream: BinaryIO) -> tuple[str, int]:
        """Store uploaded bytes; their id and size. :class:`LimitExceeded` beyond the configured size."""
        return self._blobs.put(stream, max_bytes=self._settings.sources.max_file_mb * 1024 * 1024)

    def check_paths(self, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Each path with links resolved, and the configured root that allows it; refuses all if it refuses one."""
        roots = [str(root.expanduser().resolve()) for root in self._settings.sources.roots]
        return [check_path(path, roots) for path in paths]

    def register_paths(self, paths: Sequence[str], *, collection: str) -> list[Document]:
        """Register files named by a client: only under the configured roots."""
        self._bounded(paths, "paths")
        return self._register_files(self.check_paths(paths), collection)

    def register_local(self, files: Sequence[tuple[str, str]], *, collection: str) -> list[Document]:
        """Register ``(file, root)`` pairs named by the owner of this machine, who needs no configured roots."""
        return self._register_files([check_path(file, [root]) for file, root in files], collection)

    def _register_files(self, files: Sequence[tuple[str, str]], collection: str) -> list[Document]:
        self.collection(collection)
        new = []
        for real, root in files:
            status = Path(real).stat()
            new.append(
                NewDocument(
                    source=real,
                    origin=Origin.PATH,
                    name=_printable(PurePath(real).name),
                    material=_material(real),
                    root=root,
                    size=status.st_size,
                    mtime_ns=status.st_mtime_ns,
                )
            )
        return self._index.register(collection, new)

    def register_urls(self, urls: Sequence[str], *, collection: str) -> list[Document]:
        """Register addresses; whether they may be fetched is decided when they are."""
        self._bounded(urls, "urls")
        new = []
        for url in urls:
            check_url(url)
            name = unquote(PurePath(urlsplit(url).path).name) or urlsplit(url).netloc
            new.append(NewDocument(source=url, origin=Origin.URL, name=_printable(name), material=_material(name)))
        self.collection(collection)
        return self._index.register(collection, new)

    def _bounded(self, values: Sequence[str], field: str) -> None:
        most = self._settings.sources.max_files_per_request
        if not values:
            raise InvalidInput("list_empty", field=field)
        if len(values) > most:
            raise LimitExceeded("too_many_files", field=field, count=len(values), max_files=most)

    def select(self, doc_ids: Sequence[int], *, force: bool = False) -> Selection:
        """Which of the documents need indexing; ids that do not exist are left out."""
        return select_stale(self._index, doc_ids, force=force)

    def draft_index(self, doc_ids: Sequence[int], *, force: bool = False, **options: Any) -> NewTask:
        """The task that would index these documents; see :meth:`TaskService.draft` for the options."""
        if not doc_ids:
            raise InvalidInput("list_empty", field="doc_ids")
        payload: dict[str, Any] = {"doc_ids": list(dict.fromkeys(doc_ids)), "force": force}
        if (user_id := options.get("user_id")) is not None:
            payload["user_id"] = user_id
        return self._tasks.draft("batch_index", payload, **options)

    def index(self, doc_ids: Sequence[int], *, force: bool = False, **options: Any) -> Task:
        """Queue the documents for indexing as one task with a child per document that needs it."""
        return self._tasks.submit_all([self.draft_index(doc_ids, force=force, **options)])[0]

    def reembed(self, collection: str, embedder: str) -> Task:
        """Queue a change of the collection's embedder; the old vectors answer until the new ones are complete."""
        self._index.collection(collection)
        self._embedders.collection_settings(self._settings.index, embedder=embedder)
        payload = {"collection": collection, "embedder": embedder}
        return self._tasks.submit("reembed_collection", payload, collection=collection)

    def process(
        self,
        *,
        source: str | None = None,
        blob_id: str | None = None,
        filename: str | None = None,
        declared_type: str | None = None,
        options: Mapping[str, Any],
        **task_options: Any,
    ) -> Task:
        """Queue parsing (and splitting) of an upload, a URL or a path under the roots; nothing is indexed."""
        payload: dict[str, Any] = {**options, "filename": filename, "declared_type": declared_type}
        if blob_id is not None:
            payload["blob_id"] = blob_id
        elif source is None or not source.strip():
            raise InvalidInput("source_missing", field="source")
        elif is_url(source):
            check_url(source)
            payload["source"] = source
        else:
            ((payload["source"], payload["root"]),) = self.check_paths([source])
        return self._tasks.submit("process_document", payload, **task_options)


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


def upload_name(filename: str | None) -> str:
    """The last part of an uploaded file's name, printable and not too long."""
    name = _printable(PurePath((filename or "").replace("\\", "/")).name)
    return name if name.strip(".") else "upload"


def walk_files(folder: Path) -> Iterator[Path]:
    """The files below ``folder`` whose format is known, in a stable order; hidden files and folders are passed over."""
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and PurePath(name).suffix.lower() in BY_SUFFIX:
                yield Path(directory) / name


def _material(name: str) -> Material:
    return Material.CODE if BY_SUFFIX.get(PurePath(name).suffix.lower()) is Format.CODE else Material.TEXT


def _printable(name: str) -> str:
    return shortened("".join(char for char in name if char.isprintable()), _NAME_CHARS)


def _check_collection_name(name: str) -> None:
    if not name.strip() or len(name) > _COLLECTION_CHARS or not name.isprintable() or "/" in name:
        raise InvalidInput("collection_name_invalid", field="collection", value=name[:_COLLECTION_CHARS])
