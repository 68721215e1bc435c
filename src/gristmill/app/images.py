"""Images from the user's side: find by image, by one that is indexed, or by a part of it; duplicates; thumbnails."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gristmill.app.embedders import Embedders
from gristmill.app.query_images import QueryImages
from gristmill.errors import Conflict, InvalidInput, NotFound
from gristmill.index.model import Collection, Document, DocumentFilter, Hit, Indexed, Space
from gristmill.index.ports import IndexStore
from gristmill.index.search import MOST_HITS, MOST_OFFSET
from gristmill.steps.image.duplicates import MOST_DISTANCE, DuplicateGroup, duplicate_groups
from gristmill.steps.image.regions import Region
from gristmill.steps.image.thumbnails import Thumbnails

__all__ = ["ImageHit", "ImagePage", "Images", "Region"]

_LOOKS = 3
"""How often a search is made while the collection changes under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHit:
    """An image that is like the query, by so much."""

    score: float
    """Cosine similarity, 0 to 1."""
    collection: str
    hit: Hit
    image: Indexed


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePage:
    """One page of images, the most alike first."""

    hits: tuple[ImageHit, ...]
    collections: tuple[str, ...]
    """Those that were searched."""
    more: bool


class Images:
    """What one may ask of the images in the index."""

    def __init__(self, index: IndexStore, embedders: Embedders, queries: QueryImages, thumbnails: Thumbnails) -> None:
        self._index = index
        self._embedders = embedders
        self._queries = queries
        self._thumbnails = thumbnails

    def like_upload(self, data: bytes, *, name: str, region: Region | None = None, **options: Any) -> ImagePage:
        """Images like the one in ``data``, or like a region of it; see :meth:`_page` for the options.

        Raises what :class:`~gristmill.app.query_images.QueryImages` does, :class:`NotFound`
        (``collection_not_found``), and :class:`Conflict` (``collection_not_of_images``, ``image_models_differ``).
        """
        return self._page(lambda space: self._queries.image(space, data, name=name, region=region), **options)

    def like_document(self, document_id: int, *, region: Region | None = None, **options: Any) -> ImagePage:
        """Images like one that is indexed, itself left out, or like a region of it, itself included.

        :class:`NotFound` (``document_not_found``), :class:`Conflict` (``image_not_indexed``).
        """
        document = self._index.document(document_id)
        home = self._index.collection(document.collection)
        self._check_is_of_images(home)

        def vector(space: Space) -> Any:
            if region is not None:
                return self._queries.document(space, document, region=region)
            if space.model_id != home.space.model_id:
                raise Conflict("image_models_differ", one=home.name, model=home.space.model_id, other=space.model_id)
            found = self._index.vectors(home, [document.id])
            if document.id not in found:
                raise Conflict("image_not_indexed", document_id=document_id)
            return found[document.id]

        options["collections"] = options.get("collections") or [document.collection]
        return self._page(vector, leave_out=None if region is not None else document.id, **options)

    def _page(
        self,
        vector: Any,
        *,
        collections: Sequence[str] = (),
        where: DocumentFilter | None = None,
        limit: int = 10,
        offset: int = 0,
        least_score: float = 0.0,
        leave_out: int | None = None,
    ) -> ImagePage:
        """The hits ``offset`` to ``offset + limit`` in these collections, or in all that hold images."""
        _check_page(limit, offset)
        where = replace(where or DocumentFilter(), collection=None)
        searched = self._searched(collections)
        vectors: dict[tuple[str, str], Any] = {}
        found: list[ImageHit] = []
        for collection in searched:
            model = (collection.space.embedder, collection.space.model_id)
            if model not in vectors:
                vectors[model] = vector(collection.space)
            found += self._nearest(collection, vectors[model], where, offset + limit + 2)
        ranked = sorted(found, key=lambda one: (-one.score, one.image.document_id))
        ranked = [one for one in ranked if one.image.document_id != leave_out and one.score >= least_score]
        return ImagePage(
            hits=tuple(ranked[offset : offset + limit]),
            collections=tuple(collection.name for collection in searched),
            more=len(ranked) > offset + limit,
        )

    def _searched(self, names: Sequence[str]) -> list[Collection]:
        if names:
            searched = [self._index.collection(name) for name in dict.fromkeys(names)]
            for collection in searched:
                self._check_is_of_images(collection)
            return searched
        searched = [found for found in self._index.collections() if self._embedders.is_of_images(found.space)]
        if not searched:
            raise NotFound("no_images_yet")
        return searched

    def _check_is_of_images(self, collection: Collection) -> None:
        if not self._embedders.is_of_images(collection.space):
            raise Conflict("collection_not_of_images", collection=collection.name, embedder=collection.space.embedder)

    def _nearest(self, collection: Collection, vector: Any, where: DocumentFilter, limit: int) -> list[ImageHit]:
        for _ in range(_LOOKS):
            scored = self._index.nearest(collection, vector, limit=limit, where=where)
            hits = self._index.hits(collection, scored)
            images = {
                one.document_id: one for one in self._index.indexed(collection, [hit.document_id for hit in hits])
            }
            if len(images) == len(scored):
                break
            # What was found and is gone was replaced meanwhile, by what another look finds.
        return [
            ImageHit(
                score=max(0.0, min(1.0, hit.score)),
                collection=collection.name,
                hit=hit,
                image=images[hit.document_id],
            )
            for hit in hits
            if hit.document_id in images
        ]

    def duplicates(self, collection: str, *, distance: int) -> list[DuplicateGroup]:
        """Groups of copies in a collection, each with the one to keep first; the largest group first."""
        if not 0 <= distance <= MOST_DISTANCE:
            raise InvalidInput(
                "duplicate_distance_out_of_range", field="distance", value=distance, maximum=MOST_DISTANCE
            )
        found = self._index.collection(collection)
        self._check_is_of_images(found)
        return duplicate_groups(
            self._index.indexed(found), lambda ids: self._index.vectors(found, ids), distance=distance
        )

    def thumbnail(self, document_id: int) -> tuple[bytes, str]:
        """The thumbnail of an image, and the hash that changes with it.

        :class:`NotFound` (``document_not_found``, ``thumbnail_not_found``).
        """
        content = self._shown(self._index.document(document_id))
        return self._thumbnails.read(content), content

    @staticmethod
    def _shown(document: Document) -> str:
        if document.version is None:
            raise NotFound("thumbnail_not_found")
        return document.version.content_hash


def _check_page(limit: int, offset: int) -> None:
    for field, value, least, most in (("limit", limit, 1, MOST_HITS), ("offset", offset, 0, MOST_OFFSET)):
        if not least <= value <= most:
            raise InvalidInput("page_out_of_range", field=field, value=value, minimum=least, maximum=most)
