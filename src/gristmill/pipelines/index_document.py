"""Indexes one document: fetch, parse, split, embed what is new, and publish it as one version, or not at all."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import PurePath
from typing import Any

from gristmill.embed.images.registry import IMAGE_EMBEDDERS
from gristmill.embed.ports import Embedder
from gristmill.errors import GristmillError, NotFound
from gristmill.ids import content_hash
from gristmill.index.model import ChunkPlace, Collection, Document, Publication, StagedChunk, VersionDraft
from gristmill.index.ports import IndexStore
from gristmill.index.recipe import fingerprint, is_unchanged, is_untouched, recipe_hash
from gristmill.kinds import DeleteIndex, IndexDocument
from gristmill.pipelines.fetching import Fetcher
from gristmill.steps.model import Fetched, Parsed, Piece
from gristmill.steps.parse import parse
from gristmill.steps.split import split
from gristmill.tasks.model import Completed, Effect, Failed, JointEffect, NewTask, Outcome, Task, TaskError
from gristmill.tasks.ports import TaskContext

__all__ = ["DocumentIndexer", "text_to_embed", "unchanged"]

_EMBED_BATCH = 32
"""Chunks embedded between two looks at cancel and progress."""
_STAGE_BATCH = 512
"""Chunks written in one transaction: long enough to be cheap, short enough to let other writers in. A document of no
more is written in the one that ends its task."""
_CHUNKS_A_ROW = 4
"""Chunks that are stored in the time in which the row of a task is changed, about."""
_SCANNED = "scanned_without_text"
_BETWEEN_WORDS = re.compile(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])")


class DocumentIndexer:
    """Handles ``index_document`` and ``delete_index``."""

    def __init__(
        self,
        index: IndexStore,
        fetcher: Fetcher,
        embedder: Callable[[str], Embedder],
        *,
        keep_versions: int,
        image: Callable[[TaskContext, IndexDocument, Document, Collection], Outcome],
        read_text: Callable[[Task, int], Sequence[NewTask]],
    ) -> None:
        """``image`` indexes a document of a collection of images; ``read_text`` names who reads scanned pages later."""
        self._index = index
        self._fetcher = fetcher
        self._embedder = embedder
        self._keep_versions = keep_versions
        self._image = image
        self._read_text = read_text
        self._ahead: dict[tuple[str, int], tuple[Document, Collection]] = {}
        """What was read for attempts that had been claimed and not begun, by task and lease."""

    def index_document(self, context: TaskContext, payload: IndexDocument) -> Outcome:
        """Bring the index of one document up to date."""
        document, collection = self._state(context, payload.doc_id)
        if collection.space.embedder in IMAGE_EMBEDDERS:
            return self._image(context, payload, document, collection)
        # Looked at before the bytes are read: a change during the read must not pass for the state that was read.
        seen = fingerprint(document, collection)
        try:
            if not payload.force and is_untouched(document, collection):
                return Completed(result=unchanged(document))
            return self._index_changed(context, document, collection, seen, force=payload.force)
        except GristmillError as error:
            if error.transient:
                raise
            why = TaskError.of(error)
            return Failed(error=why, effect=lambda tx: self._index.fail(tx, document.id, {**asdict(why), "seen": seen}))

    def _state(self, context: TaskContext, document_id: int) -> tuple[Document, Collection]:
        """The document and its collection as they were at some moment since the task was claimed."""
        attempt = (context.task.id, context.task.lease)
        if attempt not in self._ahead:
            wanted = {
                (task.id, task.lease): doc_id
                for task in (context.task, *context.upcoming)
                # The payload of another task may be anything.
                if task.kind == context.task.kind and isinstance(doc_id := task.payload.get("doc_id"), int)
            }
            found = self._index.documents_to_index(list(wanted.values()))
            self._ahead = {key: found[doc_id] for key, doc_id in wanted.items() if doc_id in found}
        if attempt not in self._ahead:
            raise NotFound("document_not_found", document_id=document_id)
        return self._ahead.pop(attempt)

    def _index_changed(
        self,
        context: TaskContext,
        document: Document,
        collection: Collection,
        seen: Mapping[str, Any] | None,
        *,
        force: bool,
    ) -> Outcome:
        context.progress("fetch", unit="chunks")
        mtime_ns = seen.get("mtime_ns") if seen else None
        fetched = self._fetcher.document(document, into=lambda: context.temp_dir)
        recipe = recipe_hash(collection)
        if not force and is_unchanged(document, recipe, fetched.content_hash):
            return Completed(
                result=unchanged(document),
                effect=lambda tx: self._index.touch(tx, document.id, size=fetched.size, mtime_ns=mtime_ns),
            )
        context.progress("parse", unit="chunks")
        parsed = parse(fetched, limits=self._fetcher.parse_limits)
        completed = self.index_parsed(context, document, collection, fetched, parsed, mtime_ns=mtime_ns, force=force)
        if any(notice.code == _SCANNED for notice in parsed.notices):
            completed = replace(completed, spawn=self._read_text(context.task, document.id))
        return completed

    def index_parsed(
        self,
        context: TaskContext,
        document: Document,
        collection: Collection,
        fetched: Fetched,
        parsed: Parsed,
        *,
        mtime_ns: int | None,
        force: bool = False,
    ) -> Completed:
        """Split and embed what was read of a document; its version is published when the task ends."""
        context.progress("split", unit="chunks")
        pieces = split(parsed, chunk_size=collection.chunk_size, chunk_overlap=collection.chunk_overlap)
        draft = _draft(document, collection, fetched, parsed, mtime_ns)
        batches = self._staged(context, collection, document, pieces, force=force)
        if len(pieces) <= _STAGE_BATCH:
            chunks = [chunk for batch in batches for chunk in batch]
            dimension = collection.space.dimension
            whole = self._index.prepare(draft, chunks, task_id=context.task.id, dimension=dimension)
            effect: Effect = JointEffect(whole, self._publish_wholes, weight=1 + len(chunks) // _CHUNKS_A_ROW)
        else:
            version_id = self._index.begin_version(draft, task_id=context.task.id)
            for batch in batches:
                self._index.stage(version_id, batch)
            effect = partial(self._publish, version_id=version_id)
        notices = [asdict(notice) for notice in parsed.notices]
        result = {"doc_id": document.id, "name": document.name, "status": "completed", "notices": notices}
        return Completed(result=result, effect=effect)

    def _publish(self, transaction: Any, version_id: int) -> Mapping[str, Any]:
        return _counts(self._index.publish(transaction, version_id, keep_versions=self._keep_versions))

    def _publish_wholes(self, transaction: Any, prepared: Sequence[Any]) -> list[Mapping[str, Any]]:
        published = self._index.publish_wholes(transaction, prepared, keep_versions=self._keep_versions)
        return [_counts(publication) for publication in published]

    def _staged(
        self,
        context: TaskContext,
        collection: Collection,
        document: Document,
        pieces: Sequence[Piece],
        *,
        force: bool,
    ) -> Iterator[list[StagedChunk]]:
        """All chunks with their vectors, in batches to be written."""
        texts = [text_to_embed(document.name, piece.headings, piece.text) for piece in pieces]
        hashes = [content_hash(text) for text in texts]
        space = collection.space
        known = set() if force else self._index.known_hashes(document.id, space.id, hashes)
        embedder = self._embedder(space.embedder)
        total = len(pieces)
        waiting: list[StagedChunk] = []
        done = 0
        for start in range(0, total, _EMBED_BATCH):
            batch = range(start, min(start + _EMBED_BATCH, total))
            new = [position for position in batch if hashes[position] not in known]
            fresh = dict(zip(new, embedder.embed_documents([texts[position] for position in new]), strict=True))
            known.update(hashes[position] for position in new)
            waiting += [
                StagedChunk(
                    position=position,
                    text=pieces[position].text,
                    content_hash=hashes[position],
                    place=_place(pieces[position]),
                    vector=fresh.get(position),
                    document_name=document.name,
                )
                for position in batch
            ]
            done += len(batch)
            if len(waiting) >= _STAGE_BATCH or done == total:
                yield waiting
                waiting = []
            context.progress("embed", unit="chunks", done=done, total=total)

    def delete_index(self, context: TaskContext, payload: DeleteIndex) -> Outcome:
        """Remove what is indexed of one document; it stays registered."""
        context.check()
        self._index.document(payload.doc_id)
        return Completed(
            result={"doc_id": payload.doc_id, "status": "deleted"},
            effect=lambda tx: {"deleted": self._index.clear(tx, payload.doc_id)},
        )


def _counts(published: Publication) -> dict[str, Any]:
    return {
        "version": published.number,
        "chunks": published.chunk_count,
        "embedded": published.embedded,
        "reused": published.reused,
        "deleted": published.deleted,
    }


def text_to_embed(document_name: str, headings: Sequence[str], text: str) -> str:
    """What the embedder sees of a chunk: its text under what says what it is about, the name and the headings."""
    return "\n".join(filter(None, (_spoken(document_name), *headings, text)))


@lru_cache(maxsize=1)
def _spoken(document_name: str) -> str:
    # A model knows "parse" and "config", but not "parse_config.py".
    return " ".join(_BETWEEN_WORDS.split(PurePath(document_name).stem)).strip()


def unchanged(document: Document) -> dict[str, Any]:
    """What is said of a document that needed no indexing."""
    chunks = document.version.chunk_count if document.version else 0
    return {
        "doc_id": document.id,
        "name": document.name,
        "status": "skipped",
        "chunks": chunks,
        "embedded": 0,
        "reused": chunks,
        "deleted": 0,
    }


def _draft(
    document: Document, collection: Collection, fetched: Fetched, parsed: Parsed, mtime_ns: int | None
) -> VersionDraft:
    return VersionDraft(
        document_id=document.id,
        space_id=collection.space.id,
        replaces=None if document.version is None else document.version.id,
        content_hash=fetched.content_hash,
        settings_hash=recipe_hash(collection),
        media_type=parsed.media_type,
        size=fetched.size,
        mtime_ns=mtime_ns,
        title=parsed.title,
        metadata=parsed.metadata,
        notices=[asdict(notice) for notice in parsed.notices],
    )


def _place(piece: Piece) -> ChunkPlace:
    return ChunkPlace(start=piece.start, end=piece.end, page=piece.page, headings=piece.headings, part=piece.part)
