"""The second pass over images and scanned pages that are in the index already: the text in them becomes searchable."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gristmill.embed.images.registry import IMAGE_EMBEDDERS
from gristmill.errors import GristmillError
from gristmill.ids import derived_id
from gristmill.index.model import ChunkPlace, Collection, Document, StagedChunk, Version, VersionDraft
from gristmill.index.ports import IndexStore
from gristmill.index.recipe import recipe_hash
from gristmill.kinds import ReadText, text_pass_id
from gristmill.pipelines.embed_images import folders_of, image_hash
from gristmill.pipelines.fetching import Fetcher
from gristmill.pipelines.index_document import DocumentIndexer
from gristmill.settings.model import ImageSettings
from gristmill.steps.image.decode import decode
from gristmill.steps.image.pages import pdf_pages
from gristmill.steps.image.text import Reader, text_of
from gristmill.steps.model import Fetched, Page, Parsed
from gristmill.tasks.model import Completed, Effect, NewTask, Outcome, Progress, Task, TaskError, TaskState, Waiting
from gristmill.tasks.ports import TaskContext

__all__ = ["TextReader", "reading_later"]

_TOGETHER = 8
"""Documents that one task reads: an image takes a second or two."""
_SIDE = 1600
"""Pixels of the shorter side that are read: a page of small print needs so many."""
_MOST_CHARS = 20_000
_MOST_PAGES = 500
_PRIORITY_BELOW = 3
"""What makes documents findable at all comes before what makes them easier to find."""
_PDF = "application/pdf"


def reading_later(draft: Callable[..., NewTask], task: Task, doc_ids: Sequence[int]) -> list[NewTask]:
    """The task that reads the text in documents which ``task`` has put into the index; none where there are none."""
    if not doc_ids:
        return []
    return [
        draft(
            "read_text",
            {"doc_ids": list(doc_ids)},
            task_id=text_pass_id(task.id),
            priority=max(0, task.priority - _PRIORITY_BELOW),
            collection=task.collection,
            user_id=task.user_id,
        )
    ]


class TextReader:
    """Handles ``read_text``: many documents are handed out, few are read."""

    def __init__(
        self,
        index: IndexStore,
        fetcher: Fetcher,
        documents: DocumentIndexer,
        draft: Callable[..., NewTask],
        settings: ImageSettings,
        *,
        keep_versions: int,
    ) -> None:
        self._index = index
        self._fetcher = fetcher
        self._documents = documents
        self._draft = draft
        self._settings = settings
        self._keep_versions = keep_versions
        self._reader = Reader()

    def __call__(self, context: TaskContext, payload: ReadText) -> Outcome:
        """One pass of the task."""
        doc_ids = list(dict.fromkeys(payload.doc_ids))
        if context.task.checkpoint is not None:
            return _summed_up(context)
        if len(doc_ids) > _TOGETHER:
            return self._hand_out(context.task, doc_ids)
        return self._read(context, doc_ids)

    def _hand_out(self, parent: Task, doc_ids: Sequence[int]) -> Waiting:
        first = self._draft(
            "read_text",
            {"doc_ids": []},
            priority=parent.priority,
            parent_id=parent.id,
            collection=parent.collection,
            user_id=parent.user_id,
        )
        children = [
            replace(
                first,
                id=derived_id(parent.id, f"text/{start}"),
                payload={"doc_ids": doc_ids[start : start + _TOGETHER]},
            )
            for start in range(0, len(doc_ids), _TOGETHER)
        ]
        progress = Progress(stage="read", unit="images", total=len(doc_ids))
        return Waiting(spawn=children, checkpoint={"handed_out": len(children)}, progress=progress)

    def _read(self, context: TaskContext, doc_ids: Sequence[int]) -> Completed:
        effects: list[Effect] = []
        counts = {"done": 0, "skipped": 0, "failed": 0}
        failures: list[Mapping[str, Any]] = []
        for document, collection in self._index.documents_to_index(doc_ids).values():
            context.progress("read", unit="images", **counts, total=len(doc_ids))
            try:
                effect = self._effect(context, document, collection)
            except GristmillError as error:
                if error.transient:
                    raise
                counts["failed"] += 1
                why = TaskError.of(error)
                told = {"code": why.code, "facts": dict(why.facts), "type": why.type}
                failures.append({"doc_id": document.id, "name": document.name, "status": "failed", "error": told})
                continue
            counts["skipped" if effect is None else "done"] += 1
            if effect is not None:
                effects.append(effect)

        def write(tx: Any) -> None:
            for effect in effects:
                effect(tx)

        context.progress("done", unit="images", **counts, total=len(doc_ids))
        result = {"with_text": counts["done"], "without": counts["skipped"], "failed": counts["failed"]}
        return Completed(result=result, items=failures, effect=write if effects else None)

    def _effect(self, context: TaskContext, document: Document, collection: Collection) -> Effect | None:
        """What is to be written of one document; None if there is no text in it, or other bytes than were indexed."""
        if document.version is None:
            return None
        fetched = self._fetcher.document(document, into=lambda: context.temp_dir)
        if fetched.content_hash != document.version.content_hash:
            # Whoever indexes the new bytes has them read as well.
            return None
        if collection.space.embedder in IMAGE_EMBEDDERS:
            return self._image(context, document, collection, fetched, document.version)
        if document.media_type != _PDF:
            return None
        return self._scan(context, document, collection, fetched, document.version)

    def _image(
        self, context: TaskContext, document: Document, collection: Collection, fetched: Fetched, version: Version
    ) -> Effect | None:
        picture = decode(fetched, max_pixels=self._settings.max_pixels, side=_SIDE)
        text = text_of(self._reader.read(picture.image))[:_MOST_CHARS]
        if not text:
            return None
        known = self._index.vectors(collection, [document.id])
        if document.id not in known:
            return None
        chunk = StagedChunk(
            position=0,
            text=text,
            content_hash=image_hash(fetched.content_hash, text),
            place=ChunkPlace(start=0, end=len(text), headings=folders_of(document)),
            vector=known[document.id],
            document_name=document.name,
        )
        draft = VersionDraft(
            document_id=document.id,
            space_id=collection.space.id,
            replaces=version.id,
            content_hash=version.content_hash,
            settings_hash=recipe_hash(collection),
            media_type=picture.media_type,
            size=fetched.size,
            mtime_ns=version.mtime_ns,
            metadata={**version.metadata, "has_text": True},
            notices=version.notices,
        )
        whole = self._index.prepare(draft, [chunk], task_id=context.task.id, dimension=collection.space.dimension)

        def publish(tx: Any) -> None:
            self._index.publish_wholes(tx, [whole], keep_versions=self._keep_versions)

        return publish

    def _scan(
        self, context: TaskContext, document: Document, collection: Collection, fetched: Fetched, version: Version
    ) -> Effect | None:
        parsed = _joined(self._pages(context, fetched), document)
        if not parsed.text:
            return None
        completed = self._documents.index_parsed(
            context, document, collection, fetched, parsed, mtime_ns=version.mtime_ns
        )
        return completed.effect

    def _pages(self, context: TaskContext, fetched: Fetched) -> Iterator[str]:
        for _, picture in pdf_pages(fetched, max_pages=_MOST_PAGES):
            context.check()
            yield text_of(self._reader.read(picture))


def _joined(texts: Iterator[str], document: Document) -> Parsed:
    pages: list[Page] = []
    text = ""
    for number, page in enumerate(texts, 1):
        start = len(text) + 2 if text else 0
        text = f"{text}\n\n{page}" if text else page
        pages.append(Page(number=number, start=start, end=len(text)))
    return Parsed(text=text.strip() and text, media_type=_PDF, title=document.title, pages=tuple(pages))


def _summed_up(context: TaskContext) -> Completed:
    children = context.children()
    results = [child.result or {} for child in children if child.state is TaskState.COMPLETED]
    counts = {name: sum(result.get(name, 0) for result in results) for name in ("with_text", "without", "failed")}
    lost = sum(len(child.payload["doc_ids"]) for child in children if child.state is not TaskState.COMPLETED)
    failed = counts["failed"] + lost
    done, skipped = counts["with_text"], counts["without"]
    progress = Progress(
        stage="done", unit="images", done=done, failed=failed, skipped=skipped, total=done + skipped + failed
    )
    return Completed(result={**counts, "failed": failed}, progress=progress)
