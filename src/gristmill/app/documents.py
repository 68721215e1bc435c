"""Documents from the user's side: hand in, index, look, delete. The same for HTTP, command line and library.

Registers and submits; reading and parsing happen in workers.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePath
from typing import Any, BinaryIO

from gristmill.app.embedders import Embedders
from gristmill.errors import Conflict, InvalidInput, LimitExceeded, NotFound
from gristmill.index.model import Collection, Document, NewDocument, Origin
from gristmill.index.ports import BlobStore, IndexStore
from gristmill.index.recipe import Selection, select_stale
from gristmill.settings.model import Settings
from gristmill.steps.paths import check_path, check_place
from gristmill.steps.sources import (
    address_document,
    check_url,
    file_document,
    is_url,
    material_of,
    printable,
    walk_files,
)
from gristmill.tasks.model import NewTask, Task
from gristmill.tasks.service import TaskService

__all__ = ["Documents", "check_url", "is_url", "upload_name", "walk_files"]

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
                    material=material_of(name),
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
        roots = self._roots()
        return [check_path(path, roots) for path in paths]

    def _roots(self) -> list[str]:
        return [str(root.expanduser().resolve()) for root in self._settings.sources.roots]

    def named_source(self, source: str, *, folders: bool) -> dict[str, str]:
        """What a payload needs to read what a client names: a URL, or under the roots a file or one of ``folders``."""
        if is_url(source):
            check_url(source)
            return {"source": source}
        real, root = check_place(source, self._roots()) if folders else check_path(source, self._roots())
        return {"source": real, "root": root}

    def register_paths(self, paths: Sequence[str], *, collection: str) -> list[Document]:
        """Register files named by a client: only under the configured roots."""
        self._bounded(paths, "paths")
        return self._register_files(self.check_paths(paths), collection)

    def register_local(self, files: Sequence[tuple[str, str]], *, collection: str) -> list[Document]:
        """Register ``(file, root)`` pairs named by the owner of this machine, who needs no configured roots."""
        return self._register_files([check_path(file, [root]) for file, root in files], collection)

    def _register_files(self, files: Sequence[tuple[str, str]], collection: str) -> list[Document]:
        self.collection(collection)
        return self._index.register(collection, [file_document(real, root) for real, root in files])

    def register_urls(self, urls: Sequence[str], *, collection: str) -> list[Document]:
        """Register addresses; whether they may be fetched is decided when they are."""
        self._bounded(urls, "urls")
        new = [address_document(url) for url in urls]
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
        space = self._index.collection(collection).space
        self._embedders.collection_settings(self._settings.index, embedder=embedder)
        if self._embedders.is_of_images(space) or self._embedders.is_of_images(replace(space, embedder=embedder)):
            raise Conflict("collection_of_images", collection=collection)
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
        else:
            payload |= self.named_source(source, folders=False)
        return self._tasks.submit("process_document", payload, **task_options)


def upload_name(filename: str | None) -> str:
    """The last part of an uploaded file's name, printable and not too long."""
    name = printable(PurePath((filename or "").replace("\\", "/")).name)
    return name if name.strip(".") else "upload"


def _check_collection_name(name: str) -> None:
    if not name.strip() or len(name) > _COLLECTION_CHARS or not name.isprintable() or "/" in name:
        raise InvalidInput("collection_name_invalid", field="collection", value=name[:_COLLECTION_CHARS])
