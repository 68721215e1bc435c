"""Metadata of chunks by real workers: each chunk on its own, many side by side, a document from beginning to end."""

from collections.abc import Callable
from typing import Any

import pytest

from gristmill.tasks.model import Task, TaskFilter, TaskState
from tests.integration.worker.conftest import Mill

CHUNKS: list[dict[str, Any]] = [
    {"chunk_id": 1, "chunk_text": "The upper weir was repaired by Miller Brown. The weir holds the water back."},
    {"chunk_id": "two", "chunk_text": "水车转动磨盘，磨盘研磨小麦。"},
]
EMPTY = {"chunk_id": 3, "chunk_text": "  "}


@pytest.fixture
def working_mill(make_mill: Callable[..., Mill]) -> Mill:
    mill = make_mill()
    mill.start(concurrency=2)
    return mill


def ended(mill: Mill, kind: str, payload: dict[str, Any]) -> Task:
    """A task of the kind, run to its end."""
    return mill.app.tasks.wait(mill.app.tasks.submit(kind, payload).id, timeout_seconds=40)


def children(mill: Mill, task: Task) -> list[Task]:
    return mill.app.tasks.find(TaskFilter(parent_id=task.id), limit=50)[::-1]


def test_chunk_is_described(working_mill: Mill) -> None:
    task = ended(working_mill, "generate_metadata_for_chunk", {**CHUNKS[0], "document_id": 7})

    assert task.result is not None
    assert (task.result["chunk_id"], task.result["document_id"]) == (1, 7)
    metadata = task.result["metadata"]
    assert (metadata["language"], "weir" in metadata["keywords"]) == ("en", True)
    assert (task.progress.stage, task.progress.percent) == ("validation", 100)


def test_batch_describes_each_chunk_and_counts_what_cannot_be(working_mill: Mill) -> None:
    task = ended(working_mill, "batch_metadata_generation", {"chunks": [*CHUNKS, EMPTY]})

    assert task.state is TaskState.COMPLETED
    assert task.result is not None
    assert (task.result["total"], task.result["failed"]) == (3, 1)
    states = [child.state for child in children(working_mill, task)]
    assert states == [TaskState.COMPLETED, TaskState.COMPLETED, TaskState.FAILED]


def test_document_goes_through_all_steps_and_is_summed_up(working_mill: Mill) -> None:
    task = ended(working_mill, "process_document_pipeline", {"document_id": "plan", "chunks": [*CHUNKS, EMPTY]})

    assert task.state is TaskState.COMPLETED
    first, middle, last = children(working_mill, task)
    assert (first.kind, middle.kind, last.kind) == ("preprocess_chunks", "workflow", "postprocess_metadata")
    assert first.result is not None
    assert (first.result["chunks"], first.result["empty"]) == (3, 1)
    assert last.result is not None
    assert (last.result["chunks"], last.result["described"]) == (3, 2)
    assert "weir" in last.result["keywords"]


@pytest.mark.parametrize(
    "chunks", [[], [{"chunk_id": 1}], [{"chunk_text": "x"}], [{"chunk_id": None, "chunk_text": "x"}]]
)
def test_chunks_that_are_none_are_refused_by_name(working_mill: Mill, chunks: list[dict[str, Any]]) -> None:
    task = ended(working_mill, "batch_metadata_generation", {"chunks": chunks})

    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert "chunks" in task.error.message()
