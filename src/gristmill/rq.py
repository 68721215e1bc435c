"""The kinds of tasks as functions that RQ can name: ``queue.enqueue("gristmill.rq.index_document", 101)``.

Workers of ``gristmill worker --engine rq`` never call them: they make a task of the job and run that. A worker of another
program that takes such a job hands it over to them, and waits for what becomes of it.
"""

import dataclasses
import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gristmill.engines.policy import RQ
from gristmill.errors import Conflict, InvalidInput, NotFound, error_from
from gristmill.kinds import KINDS
from gristmill.tasks.model import Json, Task, TaskState

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = [
    "batch_index",
    "batch_metadata_generation",
    "build_dataset",
    "build_index",
    "clean_up",
    "delete_index",
    "generate_embeddings",
    "generate_metadata_for_chunk",
    "index_document",
    "index_source",
    "ping",
    "postprocess_metadata",
    "preprocess_chunks",
    "process_document",
    "process_document_pipeline",
    "read_text",
    "reembed_collection",
    "workflow",
]

_LOOK_SECONDS = 0.25


def _function(kind: str) -> Callable[..., Json]:
    """The function that stands for ``kind``, with the fields of its payload as parameters."""
    payload = KINDS[kind].payload

    def hand_over(*args: Any, **kwargs: Any) -> Json:
        return _hand_over(kind, signature.bind(*args, **kwargs).arguments)

    fields = dataclasses.fields(payload)
    signature = inspect.Signature(
        [inspect.Parameter(field.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for field in fields]
    )
    hand_over.__name__ = hand_over.__qualname__ = kind
    hand_over.__doc__ = payload.__doc__
    return hand_over


index_document = _function("index_document")
batch_index = _function("batch_index")
index_source = _function("index_source")
delete_index = _function("delete_index")
process_document = _function("process_document")
reembed_collection = _function("reembed_collection")
build_index = _function("build_index")
build_dataset = _function("build_dataset")
generate_embeddings = _function("generate_embeddings")
read_text = _function("read_text")
clean_up = _function("clean_up")
batch_metadata_generation = _function("batch_metadata_generation")
generate_metadata_for_chunk = _function("generate_metadata_for_chunk")
postprocess_metadata = _function("postprocess_metadata")
preprocess_chunks = _function("preprocess_chunks")
process_document_pipeline = _function("process_document_pipeline")
workflow = _function("workflow")
ping = _function("ping")


def _hand_over(kind: str, payload: Json) -> Json:
    """Called by a worker that is not ours: see to it that the job's row is there, and wait until it has ended."""
    from rq import get_current_job

    job = get_current_job()
    if job is None:
        raise Conflict("rq_called_directly", name=kind)
    app = _opened(kind)
    try:
        try:
            task = app.store.get(job.id)
        except NotFound:
            draft = app.tasks.draft(kind, payload, task_id=job.id)
            task = app.store.add([replace(draft, engine=RQ)])[0]
            app.bell.ring()
        # However long that takes: RQ ends this process when the job's time is up, and the task goes on.
        while not task.state.is_final:
            time.sleep(_LOOK_SECONDS)
            task = app.store.get(job.id)
        return _answer(task)
    finally:
        app.close()


def _opened(kind: str) -> "Gristmill":
    """The Gristmill that the environment names; :class:`Conflict` if there is none: one is not made here."""
    from gristmill.app import open_gristmill
    from gristmill.settings import DataPaths, load_settings

    settings = load_settings()
    if settings.database.url is None and not DataPaths(settings.data.expanduser().resolve()).database.exists():
        raise Conflict("rq_worker_not_ours", name=kind)
    return open_gristmill(settings)


def _answer(task: Task) -> Json:
    if task.state is TaskState.FAILED and task.error is not None:
        raise error_from(task.error.type, task.error.code, task.error.facts)
    if task.state is not TaskState.COMPLETED:
        raise InvalidInput("task_was_cancelled", task_id=task.id)
    return {"task_id": task.id, "state": task.state.value}
