"""Gristmill from Python: the same interface to a service over HTTP and, by ``gristmill.open``, to a folder without one.

::

    import gristmill

    with gristmill.Client("http://127.0.0.1:8000") as mill:
        mill.index("~/papers")
        for hit in mill.search("who oils the sluice gate"):
            print(hit.document.name, hit.chunk.text)
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from gristmill.client.connection import Connection
from gristmill.client.following import follow
from gristmill.client.images import ImageCalls
from gristmill.client.sources import Opened, sorted_out
from gristmill.client.values import (
    Collection,
    Difference,
    Document,
    Event,
    Failure,
    Hit,
    Indexed,
    Registered,
    Restoration,
    Snapshot,
    Task,
    Update,
    Version,
    Workflow,
    read,
)
from gristmill.errors import Unavailable
from gristmill.tasks.workflow import Node, to_json

__all__ = ["Client"]

_PAGE = 500
_FILES_AT_ONCE = 50
_FIRST_LOOK_SECONDS = 0.02
_SLOWEST_LOOK_SECONDS = 0.5


class Client:
    """A Gristmill.

    Every method raises the errors of :mod:`gristmill.errors` with which the service refused, and :class:`Unavailable`
    (``service_unreachable``) if it does not answer, after ``retries`` more tries where trying again is safe.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout_seconds: float = 60.0,
        retries: int = 5,
        language: str = "en",
        transport: httpx.BaseTransport | None = None,
        shares_files: bool = False,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """``shares_files`` says that the service may read the files of this machine itself, instead of being sent them."""
        self._connection = Connection(
            url, key=key, timeout_seconds=timeout_seconds, retries=retries, language=language, transport=transport
        )
        self._shares_files = shares_files
        self._on_close = on_close
        self.images = ImageCalls(self._connection, self.wait)
        """Image datasets."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections, and what :func:`gristmill.open` started."""
        self._connection.close()
        self._on_close()

    # Documents

    def register(self, *sources: str | Path | tuple[str, bytes], collection: str = "default") -> Registered:
        """Hand in files, folders, URLs, or pairs of a name and its bytes; nothing is indexed yet.

        What cannot be registered is listed under ``failed`` and does not stop the rest.
        """
        found = sorted_out(sources)
        documents: list[Document] = []
        failed: list[Failure] = []
        for batch in self._batches(found, collection):
            part = read(Registered, batch)
            documents += part.documents
            failed += part.failed
        return Registered(documents=documents, failed=failed)

    def _batches(self, found: Opened, collection: str) -> Iterator[Any]:
        named: dict[str, list[str]] = {"urls": found.urls}
        if self._shares_files:
            named["paths"] = [str(file) for file in found.files]
        for field, values in named.items():
            for start in range(0, len(values), _PAGE):
                body = {field: values[start : start + _PAGE], "collection": collection}
                yield self._connection.ask("POST", "/api/documents", json=body)
        uploads = [*found.contents, *(() if self._shares_files else found.files)]
        for start in range(0, len(uploads), _FILES_AT_ONCE):
            batch = uploads[start : start + _FILES_AT_ONCE]
            with found.opened(batch) as files:
                fields = {"collection": collection}
                yield self._connection.ask("POST", "/api/documents", files=files, data=fields)

    def index(
        self,
        *sources: str | Path | tuple[str, bytes],
        collection: str = "default",
        force: bool = False,
        priority: int = 5,
        wait: bool = True,
        on_progress: Callable[[Task], None] | None = None,
    ) -> Indexed:
        """Register ``sources`` and index what has changed; ``on_progress`` is called with the task as it goes."""
        registered = self.register(*sources, collection=collection)
        ids = [document.id for document in registered.documents]
        if not ids:
            return Indexed(task=None, documents=[], failed=registered.failed)
        task = self.submit("batch_index", {"doc_ids": ids, "force": force}, priority=priority, collection=collection)
        documents = registered.documents
        if wait:
            task = self.wait(task.id, on_progress=on_progress)
            documents = [self.document(document_id) for document_id in ids]
        return Indexed(task=task, documents=documents, failed=registered.failed)

    def documents(self, *, collection: str | None = None, **filters: Any) -> Iterator[Document]:
        """All documents that match, by id; ``filters`` are those of ``GET /api/documents``."""
        yield from self._pages("/api/documents", "documents", Document, {"collection": collection, **filters})

    def document(self, document_id: int) -> Document:
        """One document."""
        return read(Document, self._connection.ask("GET", f"/api/documents/{document_id}"))

    def delete_document(self, document_id: int) -> None:
        """Remove a document with all its versions, at once for every search."""
        self._connection.ask("DELETE", f"/api/documents/{document_id}")

    # Search

    def search(
        self,
        query: str,
        *,
        collection: str = "default",
        mode: str = "hybrid",
        kind: str | None = None,
        filters: Mapping[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> list[Hit]:
        """A page of hits, best first."""
        body = {
            "query": query,
            "collection": collection,
            "mode": mode,
            "kind": kind,
            "filters": dict(filters or {}),
            "limit": limit,
            "offset": offset,
        }
        return [read(Hit, hit) for hit in self._connection.ask("POST", "/api/search", json=body)["hits"]]

    # Collections, versions, snapshots

    def collections(self) -> list[Collection]:
        """All collections, by name."""
        return [read(Collection, one) for one in self._connection.ask("GET", "/api/collections")["collections"]]

    def delete_collection(self, name: str) -> None:
        """Remove a collection with everything in it."""
        self._connection.ask("DELETE", f"/api/collections/{name}")

    def versions(self, document_id: int) -> list[Version]:
        """The versions that are kept of a document, newest first."""
        found = self._connection.ask("GET", f"/api/documents/{document_id}/versions")["versions"]
        return [read(Version, one) for one in found]

    def diff(self, document_id: int, before: int, after: int, *, offset: int = 0, limit: int = 50) -> Difference:
        """What changed in a document from one version to another."""
        asked = {"before": before, "after": after, "offset": offset, "limit": limit}
        return read(Difference, self._connection.ask("GET", f"/api/documents/{document_id}/diff", params=asked))

    def roll_back(self, document_id: int, version: int) -> Document:
        """Let another version of a document answer searches."""
        body = {"version": version}
        return read(Document, self._connection.ask("POST", f"/api/documents/{document_id}/rollback", json=body))

    def take_snapshot(self, collection: str, name: str) -> Snapshot:
        """Keep what a collection shows now, with its settings."""
        path = f"/api/collections/{collection}/snapshots"
        return read(Snapshot, self._connection.ask("POST", path, json={"name": name}))

    def snapshots(self, collection: str) -> list[Snapshot]:
        """The snapshots of a collection, newest first."""
        found = self._connection.ask("GET", f"/api/collections/{collection}/snapshots")["snapshots"]
        return [read(Snapshot, one) for one in found]

    def restore(self, collection: str, snapshot_id: int) -> Restoration:
        """Let a collection show what it showed in a snapshot."""
        path = f"/api/collections/{collection}/snapshots/{snapshot_id}/restore"
        return read(Restoration, self._connection.ask("POST", path))

    def forget_snapshot(self, collection: str, snapshot_id: int) -> None:
        """Give up a snapshot, and the versions that were kept for its sake alone."""
        self._connection.ask("DELETE", f"/api/collections/{collection}/snapshots/{snapshot_id}")

    # Tasks and workflows

    def submit(self, kind: str, payload: Mapping[str, Any], **options: Any) -> Task:
        """Accept a task; ``options`` are the other fields of ``POST /api/tasks``. It is durable when this returns."""
        body = {"kind": kind, "payload": dict(payload), **options}
        return read(Task, self._connection.ask("POST", "/api/tasks", json=body, submits=True))

    def submit_workflow(self, workflow: Node | Mapping[str, Any], *, on_failure: str = "stop", **options: Any) -> Task:
        """Accept composed work (:mod:`gristmill.canvas`, or its JSON); ``options`` as for :meth:`submit`."""
        tree = dict(workflow) if isinstance(workflow, Mapping) else to_json(workflow)
        body = {"workflow": tree, "on_failure": on_failure, **options}
        return read(Task, self._connection.ask("POST", "/api/workflows", json=body, submits=True))

    def workflow(self, task_id: str) -> Workflow:
        """A workflow and how far all of it is."""
        return read(Workflow, self._connection.ask("GET", f"/api/workflows/{task_id}"))

    def rerun(self, task_id: str, *, from_step: int) -> Task:
        """Run a workflow again from a step on, as a new one."""
        body = {"from_step": from_step}
        return read(Task, self._connection.ask("POST", f"/api/workflows/{task_id}/rerun", json=body, submits=True))

    def tasks(self, **filters: Any) -> Iterator[Task]:
        """All tasks that match, newest first; ``filters`` are those of ``GET /api/tasks``."""
        yield from self._pages("/api/tasks", "tasks", Task, filters)

    def task(self, task_id: str) -> Task:
        """One task."""
        return read(Task, self._connection.ask("GET", f"/api/tasks/{task_id}"))

    def cancel(self, task_id: str) -> Task:
        """Ask a task, and what it started, to stop."""
        return read(Task, self._connection.ask("POST", f"/api/tasks/{task_id}/cancel"))

    def retry(self, task_id: str) -> Task:
        """Run a task that failed or was cancelled again."""
        return read(Task, self._connection.ask("POST", f"/api/tasks/{task_id}/retry"))

    def items(self, task_id: str) -> Iterator[dict[str, Any]]:
        """The result items of a task."""
        offset: int | None = 0
        while offset is not None:
            page = self._connection.ask("GET", f"/api/tasks/{task_id}/result", params={"offset": offset})
            yield from page["items"]
            offset = page["next_offset"]

    def watch(self, task_id: str, *, after: int = 0) -> Iterator[Update]:
        """What happens to a task, from its beginning or behind an event on, until it has ended."""
        for told in follow(self._connection, task_id, after=after):
            if isinstance(told, Update):
                yield told

    def events(self, task_id: str) -> list[Event]:
        """What has happened to a task so far, oldest first."""
        found: list[Event] = []
        after: int | None = 0
        while after is not None:
            page = self._connection.ask("GET", f"/api/tasks/{task_id}/events", params={"after": after})
            found += [read(Event, event) for event in page["events"]]
            after = page["next_after"]
        return found

    def wait(
        self,
        task_id: str,
        *,
        timeout_seconds: float | None = None,
        on_progress: Callable[[Task], None] | None = None,
    ) -> Task:
        """The task once it has ended; :class:`Unavailable` (``task_not_ended_yet``) when the time is up."""
        deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        pause = _FIRST_LOOK_SECONDS
        while True:
            task = self.task(task_id)
            if on_progress is not None:
                on_progress(task)
            if task.has_ended:
                return task
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unavailable("task_not_ended_yet", task_id=task_id, seconds=timeout_seconds)
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _SLOWEST_LOOK_SECONDS)

    def _pages(self, path: str, field: str, kind: type[Any], filters: Mapping[str, Any]) -> Iterator[Any]:
        asked = {name: value for name, value in filters.items() if value is not None}
        cursor: str | None = None
        while True:
            page = self._connection.ask("GET", path, params={**asked, **({"cursor": cursor} if cursor else {})})
            yield from (read(kind, one) for one in page[field])
            cursor = page["next_cursor"]
            if cursor is None:
                return
