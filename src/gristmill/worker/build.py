"""Puts together the handlers of this process; the only place that knows every pipeline."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gristmill.app.tidying import tidying
from gristmill.pipelines.batch_index import BatchIndexer
from gristmill.pipelines.build_dataset import DatasetBuilder
from gristmill.pipelines.build_index import IndexBuilder
from gristmill.pipelines.clean_up import Cleaner
from gristmill.pipelines.embed_images import ImageIndexer
from gristmill.pipelines.fetching import Fetcher
from gristmill.pipelines.index_document import DocumentIndexer
from gristmill.pipelines.index_source import SourceIndexer
from gristmill.pipelines.metadata import (
    MetadataPipelines,
    generate_metadata,
    postprocess_metadata,
    preprocess_chunks,
)
from gristmill.pipelines.ping import ping
from gristmill.pipelines.process_document import DocumentProcessor
from gristmill.pipelines.read_text import TextReader, reading_later
from gristmill.pipelines.reembed_collection import CollectionReembedder
from gristmill.steps.image.text import is_available
from gristmill.tasks.compose import Composer

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.tasks.ports import Handler

__all__ = ["build_handlers"]


def build_handlers(app: "Gristmill") -> "Mapping[str, Handler]":
    """A handler for every kind that this installation can run."""
    fetcher = Fetcher(app.blobs, app.settings.sources)
    keep_versions = app.settings.index.keep_versions
    images = ImageIndexer(
        app.index,
        fetcher,
        app.embedders.images,
        app.thumbnails,
        app.settings.images,
        keep_versions=keep_versions,
        report=app.datasets.report,
        fault=lambda: app.datasets.mode(distributed=True).fault,
    )
    reads_text = app.settings.images.ocr == "auto" and is_available()
    indexer = DocumentIndexer(
        app.index,
        fetcher,
        app.embedders.get,
        keep_versions=keep_versions,
        image=images.index_document,
        read_text=lambda task, doc_id: reading_later(app.tasks.draft, task, [doc_id] if reads_text else []),
    )
    tidy = {"items.purged": app.store.purge_items, **tidying(app)}
    composer = Composer(app.tasks.draft)
    described = MetadataPipelines(composer)
    handlers: dict[str, Handler] = {
        "ping": ping,
        "index_document": indexer.index_document,
        "delete_index": indexer.delete_index,
        "batch_index": BatchIndexer(app.index, app.tasks.draft),
        "index_source": SourceIndexer(app.index, app.tasks.draft, app.documents.collection),
        "process_document": DocumentProcessor(fetcher),
        "reembed_collection": CollectionReembedder(app.index, app.embedders.get),
        "build_index": IndexBuilder(app.tasks.draft),
        "build_dataset": DatasetBuilder(
            app.index,
            app.tasks.draft,
            app.datasets.collection,
            app.settings.images,
            report=app.datasets.report,
            done_by_engine=app.datasets.computed_by,
            pins=app.settings.engine.fallback,
            reads_text=reads_text,
        ),
        "generate_embeddings": images,
        "read_text": TextReader(
            app.index, fetcher, indexer, app.tasks.draft, app.settings.images, keep_versions=keep_versions
        ),
        "workflow": composer,
        "generate_metadata_for_chunk": generate_metadata,
        "batch_metadata_generation": described.batch,
        "process_document_pipeline": described.document,
        "preprocess_chunks": preprocess_chunks,
        "postprocess_metadata": postprocess_metadata,
        "clean_up": Cleaner(tidy),
    }
    return app.tracing.handlers(handlers)
