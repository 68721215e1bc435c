"""Puts together the handlers of this process; the only place that knows every pipeline."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gristmill.app.tidying import tidying
from gristmill.pipelines.batch_index import BatchIndexer
from gristmill.pipelines.clean_up import Cleaner
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
from gristmill.pipelines.reembed_collection import CollectionReembedder
from gristmill.tasks.compose import Composer

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.tasks.ports import Handler

__all__ = ["build_handlers"]


def build_handlers(app: "Gristmill") -> "Mapping[str, Handler]":
    """A handler for every kind that this installation can run."""
    fetcher = Fetcher(app.blobs, app.settings.sources)
    indexer = DocumentIndexer(app.index, fetcher, app.embedders.get, keep_versions=app.settings.index.keep_versions)
    tidy = {
        "items.purged": app.store.purge_items,
        **tidying(app.store, app.index, app.blobs, app.paths.temp, app.clock),
    }
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
        "workflow": composer,
        "generate_metadata_for_chunk": generate_metadata,
        "batch_metadata_generation": described.batch,
        "process_document_pipeline": described.document,
        "preprocess_chunks": preprocess_chunks,
        "postprocess_metadata": postprocess_metadata,
        "clean_up": Cleaner(tidy),
    }
    return app.tracing.handlers(handlers)
