"""Turns images into vectors, a batch at a time, and publishes them together; of a bad one it says why."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from gristmill.embed.images.ports import ImageEmbedder
from gristmill.errors import GristmillError, InvalidInput, StepFailed
from gristmill.ids import content_hash
from gristmill.index.model import (
    ChunkPlace,
    Collection,
    Document,
    Publication,
    Space,
    StagedChunk,
    VersionDraft,
)
from gristmill.index.ports import IndexStore
from gristmill.index.recipe import fingerprint, is_unchanged, is_untouched, recipe_hash
from gristmill.kinds import GenerateEmbeddings, IndexDocument
from gristmill.pipelines.fetching import Fetcher
from gristmill.settings.model import ImageSettings
from gristmill.steps.image.decode import Picture, decode
from gristmill.steps.image.fingerprint import difference_hash
from gristmill.steps.image.thumbnail import seen, shrunk, thumbnail
from gristmill.steps.image.thumbnails import Thumbnails
from gristmill.steps.model import Fetched
from gristmill.tasks.model import Completed, Effect, Failed, Outcome, TaskError
from gristmill.tasks.ports import TaskContext

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageIndexer", "folders_of", "image_hash"]

_MOST_BASE64_CHARS = 64 * 1024 * 1024


def image_hash(file_hash: str, text: str = "") -> str:
    """Identifies what is embedded of an image, and so its vector, wherever the file lies; with the text read in it."""
    return content_hash("image", file_hash, text) if text else content_hash("image", file_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """An image that was read, and is to be published."""

    document: Document
    collection: Collection
    fetched: Fetched
    picture: Picture
    seen: "Image"
    """What the model is shown of it."""
    fingerprint: str
    mtime_ns: int | None

    @property
    def hash(self) -> str:
        return image_hash(self.fetched.content_hash)


@dataclass(slots=True)
class _Batch:
    """What became of the images of one task so far."""

    looked: list[_Looked] = field(default_factory=list)
    touched: list[tuple[int, int, int | None]] = field(default_factory=list)
    """Documents whose bytes turned out to be the same, with their size and time."""
    untouched: int = 0
    failures: list[tuple[Document, TaskError, Mapping[str, Any] | None]] = field(default_factory=list)
    again: list[tuple[Document, TaskError]] = field(default_factory=list)
    """Those that may well succeed the next time."""

    @property
    def skipped(self) -> int:
        return len(self.touched) + self.untouched

    def counts(self) -> dict[str, int]:
        """As progress shows it."""
        return {"done": len(self.looked), "failed": len(self.failures), "skipped": self.skipped}


class ImageIndexer:
    """Handles ``generate_embeddings``, and images among the documents of ``index_document``.

    ``report`` is told of the parent of a batch, whose progress may be shown elsewhere; ``fault`` says what is wrong
    with the engine that should carry batches, if anything is.
    """

    def __init__(
        self,
        index: IndexStore,
        fetcher: Fetcher,
        embedder: Callable[[str], ImageEmbedder],
        thumbnails: Thumbnails,
        settings: ImageSettings,
        *,
        keep_versions: int,
        report: Callable[[str], None],
        fault: Callable[[], GristmillError | None],
    ) -> None:
        self._index = index
        self._fetcher = fetcher
        self._embedder = embedder
        self._thumbnails = thumbnails
        self._settings = settings
        self._keep_versions = keep_versions
        self._report = report
        self._fault = fault

    def __call__(self, context: TaskContext, payload: GenerateEmbeddings) -> Outcome:
        """The whole task."""
        if isinstance(payload.images, str):
            return self._embedded(payload.images)
        if context.task.parent_id is not None:
            self._report(context.task.parent_id)
        return self._index_batch(context, list(dict.fromkeys(payload.images)), force=payload.force)

    def index_document(
        self, context: TaskContext, payload: IndexDocument, document: Document, collection: Collection
    ) -> Outcome:
        """Bring the index of one image up to date, as ``index_document`` does of any document."""
        batch = _Batch()
        was = fingerprint(document, collection)
        if not payload.force and is_untouched(document, collection):
            return Completed(result={"doc_id": document.id, "name": document.name, "status": "skipped"})
        self._look(context, batch, document, collection, force=payload.force)
        if batch.failures:
            why = batch.failures[0][1]
            return Failed(error=why, effect=lambda tx: self._index.fail(tx, document.id, {**asdict(why), "seen": was}))
        effect = self._effect(context, batch, force=payload.force)
        status = "completed" if batch.looked else "skipped"
        return Completed(result={"doc_id": document.id, "name": document.name, "status": status}, effect=effect)

    def _embedded(self, encoded: str) -> Completed:
        """The vector of an image that came with the task."""
        data = _decoded(encoded)
        fetched = Fetched(data=data, name="image", size=len(data), content_hash=content_hash(data))
        embedder = self._embedder(self._settings.embedder)
        picture = decode(fetched, max_pixels=self._settings.max_pixels, side=embedder.side)
        vector = embedder.embed_images([picture.image])[0]
        return Completed(
            result={
                "status": "success",
                "embedding": [round(float(number), 7) for number in vector],
                "dimension": embedder.dimension,
                "model": embedder.model_id,
                "width": picture.width,
                "height": picture.height,
            }
        )

    def _index_batch(self, context: TaskContext, doc_ids: Sequence[int], *, force: bool) -> Outcome:
        found = self._index.documents_to_index(doc_ids)
        batch = _Batch()
        for doc_id in doc_ids:
            context.progress("embed", unit="images", **batch.counts(), total=len(doc_ids))
            if doc_id not in found:
                # Deleted since; whoever deleted it knows.
                batch.untouched += 1
                continue
            document, collection = found[doc_id]
            if not force and is_untouched(document, collection):
                batch.untouched += 1
                continue
            try:
                self._look(context, batch, document, collection, force=force)
            except GristmillError as error:
                if not error.transient:
                    raise
                batch.again.append((document, TaskError.of(error)))
        effect = self._effect(context, batch, force=force)
        context.progress("embed", unit="images", **batch.counts(), total=len(doc_ids))
        fault = self._fault()
        result = {
            "images": len(doc_ids),
            "fault": None if fault is None else fault.code,
            "failed": len(batch.failures),
            "skipped": batch.skipped,
            "again": [{"doc_id": document.id, "error": asdict(error)} for document, error in batch.again],
        }
        return Completed(result=result, effect=effect)

    def _look(
        self, context: TaskContext, batch: _Batch, document: Document, collection: Collection, *, force: bool
    ) -> None:
        """Read one image; what is wrong with it is noted, what may pass is raised."""
        # Looked at before the bytes are read: a change during the read must not pass for the state that was read.
        was = fingerprint(document, collection)
        mtime_ns = was.get("mtime_ns") if was else None
        side = self._model(collection.space).side
        thumbnail_pixels = self._settings.thumbnail_pixels
        fetched: Fetched | None = None
        try:
            fetched = self._fetcher.document(document, into=lambda: context.temp_dir)
            if not force and is_unchanged(document, recipe_hash(collection), fetched.content_hash):
                batch.touched.append((document.id, fetched.size, mtime_ns))
                return
            picture = decode(fetched, max_pixels=self._settings.max_pixels, side=max(side, thumbnail_pixels))
        except GristmillError as error:
            if error.transient:
                raise
            batch.failures.append((document, TaskError.of(error), was))
            return
        finally:
            if fetched is not None and fetched.path is not None and fetched.path.is_relative_to(context.temp_dir):
                # A batch of large files must not lie there all at once.
                fetched.path.unlink(missing_ok=True)
        small = shrunk(picture.image, thumbnail_pixels)
        self._thumbnails.keep(fetched.content_hash, thumbnail(small, thumbnail_pixels))
        batch.looked.append(
            _Looked(
                document=document,
                collection=collection,
                fetched=fetched,
                picture=picture,
                seen=seen(picture.image, small, side),
                fingerprint=difference_hash(small),
                mtime_ns=mtime_ns,
            )
        )

    def _model(self, space: Space) -> ImageEmbedder:
        embedder = self._embedder(space.embedder)
        if embedder.model_id != space.model_id:
            raise StepFailed("image_model_differs", expected=space.model_id, actual=embedder.model_id)
        return embedder

    def _effect(self, context: TaskContext, batch: _Batch, *, force: bool) -> Effect:
        vectors = self._vectors(context, batch.looked, force=force)
        prepared = [
            self._index.prepare(
                _draft(looked),
                [_chunk(looked, vectors.get((looked.collection.space.id, looked.hash)))],
                task_id=context.task.id,
                dimension=looked.collection.space.dimension,
            )
            for looked in batch.looked
        ]

        def write(tx: Any) -> Mapping[str, Any]:
            published: list[Publication] = []
            if prepared:
                published = self._index.publish_wholes(tx, prepared, keep_versions=self._keep_versions)
            for doc_id, size, mtime_ns in batch.touched:
                self._index.touch(tx, doc_id, size=size, mtime_ns=mtime_ns)
            for document, error, was in batch.failures:
                self._index.fail(tx, document.id, {**asdict(error), "seen": was})
            return _counts(published)

        return write

    def _vectors(self, context: TaskContext, looked: Sequence[_Looked], *, force: bool) -> dict[tuple[int, str], Any]:
        """The vectors that the index does not know, or with ``force`` all, by space and hash; each image is embedded once."""
        new: dict[tuple[int, str], _Looked] = {}
        for one in looked:
            new.setdefault((one.collection.space.id, one.hash), one)
        for space_id in set() if force else {space_id for space_id, _ in new}:
            hashes = [known for space, known in new if space == space_id]
            for known in self._index.known_hashes(0, space_id, hashes):
                del new[space_id, known]
        context.check()
        vectors: dict[tuple[int, str], Any] = {}
        for space in {one.collection.space.id: one.collection.space for one in new.values()}.values():
            keys = [key for key in new if key[0] == space.id]
            rows = self._model(space).embed_images([new[key].seen for key in keys])
            vectors |= dict(zip(keys, rows, strict=True))
        return vectors


def _decoded(encoded: str) -> bytes:
    if len(encoded) > _MOST_BASE64_CHARS:
        raise InvalidInput("image_base64_invalid", field="images", reason="too long")
    # As browsers write it.
    encoded = encoded.partition(",")[2] if encoded.startswith("data:") else encoded
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("image_base64_invalid", field="images", reason="not base64") from error


def _draft(looked: _Looked) -> VersionDraft:
    document, picture = looked.document, looked.picture
    return VersionDraft(
        document_id=document.id,
        space_id=looked.collection.space.id,
        replaces=None if document.version is None else document.version.id,
        content_hash=looked.fetched.content_hash,
        settings_hash=recipe_hash(looked.collection),
        media_type=picture.media_type,
        size=looked.fetched.size,
        mtime_ns=looked.mtime_ns,
        metadata={
            "width": picture.width,
            "height": picture.height,
            "frames": picture.frames,
            "fingerprint": looked.fingerprint,
        },
        notices=[asdict(notice) for notice in picture.notices],
    )


def _chunk(looked: _Looked, vector: Any) -> StagedChunk:
    return StagedChunk(
        position=0,
        text="",
        content_hash=looked.hash,
        place=ChunkPlace(start=0, end=0, headings=folders_of(looked.document)),
        vector=vector,
        document_name=looked.document.name,
    )


def folders_of(document: Document) -> tuple[str, ...]:
    """The folders between its dataset and the image: they often say what is in it."""
    if document.root is None:
        return ()
    return PurePath(document.source).relative_to(document.root).parts[1:-1]


def _counts(published: Sequence[Publication]) -> dict[str, int]:
    return {
        "embedded": sum(publication.embedded for publication in published),
        "reused": sum(publication.reused for publication in published),
    }
