"""Gristmill as Celery users know it: ``from gristmill.celery import index_document_task``.

``index_document_task.delay(doc_id=101, user_id=1)`` works in any process that sees our settings, and so does every
command of ``celery -A gristmill.celery``. Importing this reads no settings and opens nothing.
"""

from typing import Any

from gristmill.celery.application import Application
from gristmill.celery.opened import settings, use
from gristmill.celery.task import KindTask
from gristmill.engines.celery import configuration, make_app, task_name
from gristmill.kinds import KINDS

__all__ = [
    "app",
    "batch_index_task",
    "batch_metadata_generation_task",
    "build_dataset_task",
    "build_index_task",
    "clean_up_task",
    "delete_index_task",
    "generate_embeddings_task",
    "generate_metadata_for_chunk_task",
    "index_document_task",
    "index_source_task",
    "ping_task",
    "postprocess_metadata_task",
    "preprocess_chunks_task",
    "process_document_pipeline_task",
    "process_document_task",
    "read_text_task",
    "reembed_collection_task",
    "use",
    "workflow_task",
]


def _configuration() -> dict[str, Any]:
    chosen = settings()
    return {
        **configuration(chosen.redis, kinds=chosen.tasks.kinds, queues=chosen.workers.queues),
        "worker_concurrency": chosen.workers.concurrency,
    }


def _task(kind: str) -> Any:
    def run(*_args: object, **_kwargs: object) -> None:
        """Stand for the handler, which only slots have."""

    run.__doc__ = (KINDS[kind].payload.__doc__ or "").strip()
    return app.task(name=task_name(kind), base=KindTask, kind=kind, bind=True)(run)


app: Any = make_app(_configuration, cls=Application)

_tasks = {kind: _task(kind) for kind in KINDS}
batch_index_task = _tasks["batch_index"]
batch_metadata_generation_task = _tasks["batch_metadata_generation"]
build_dataset_task = _tasks["build_dataset"]
build_index_task = _tasks["build_index"]
clean_up_task = _tasks["clean_up"]
delete_index_task = _tasks["delete_index"]
generate_embeddings_task = _tasks["generate_embeddings"]
generate_metadata_for_chunk_task = _tasks["generate_metadata_for_chunk"]
index_document_task = _tasks["index_document"]
index_source_task = _tasks["index_source"]
ping_task = _tasks["ping"]
postprocess_metadata_task = _tasks["postprocess_metadata"]
preprocess_chunks_task = _tasks["preprocess_chunks"]
process_document_pipeline_task = _tasks["process_document_pipeline"]
process_document_task = _tasks["process_document"]
read_text_task = _tasks["read_text"]
reembed_collection_task = _tasks["reembed_collection"]
workflow_task = _tasks["workflow"]
