"""Puts together the handlers of this process; the only place that knows every pipeline."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gristmill.pipelines.batch_index import BatchIndexer
from gristmill.pipelines.fetching import Fetcher
from gristmill.pipelines.index_document import DocumentIndexer
from gristmill.pipelines.ping import ping
from gristmill.pipelines.process_document import DocumentProcessor
from gristmill.pipelines.reembed_collection import CollectionReembedder

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.tasks.ports import Handler

__all__ = ["build_handlers"]


def build_handlers(app: "Gristmill") -> "Mapping[str, Handler]":
    """A handler for every kind that this installation can run."""
    fetcher = Fetcher(app.blobs, app.settings.sources)
    indexer = DocumentIndexer(app.index, fetcher, app.embedders.get, keep_versions=app.settings.index.keep_versions)
    handlers: dict[str, Handler] = {
        "ping": ping,
        "index_document": indexer.index_document,
        "delete_index": indexer.delete_index,
        "batch_index": BatchIndexer(app.index, app.tasks.draft),
        "process_document": DocumentProcessor(fetcher),
        "reembed_collection": CollectionReembedder(app.index, app.embedders.get),
    }
    return app.tracing.handlers(handlers)
