"""Metadata of chunks: of one, of many side by side, and of a whole document from beginning to end.

The larger kinds are workflows of the smaller ones, so a chunk that fails or kills its process concerns no other.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gristmill.errors import InvalidInput
from gristmill.kinds import BatchMetadata, DocumentPipeline, GenerateMetadata, PostprocessMetadata, PreprocessChunks
from gristmill.steps.enrich import Metadata, describe
from gristmill.tasks.compose import Composer, Policy
from gristmill.tasks.model import Completed, Json, Outcome
from gristmill.tasks.ports import TaskContext
from gristmill.tasks.references import previous
from gristmill.tasks.workflow import Chain, Group, Step

__all__ = ["MetadataPipelines", "generate_metadata", "postprocess_metadata", "preprocess_chunks"]

_KEYWORDS = 12
_ENTITIES = 24


def generate_metadata(context: TaskContext, payload: GenerateMetadata) -> Outcome:
    """Handles ``generate_metadata_for_chunk``."""
    context.progress("preprocessing", unit="percent", done=20, total=100)
    text = payload.chunk_text.strip()
    if not text:
        raise InvalidInput("chunk_text_empty", field="chunk_text", chunk_id=payload.chunk_id)
    context.progress("analysis", unit="percent", done=50, total=100)
    metadata = describe(text)
    context.progress("generation", unit="percent", done=80, total=100)
    result = {
        "chunk_id": payload.chunk_id,
        "document_id": payload.document_id,
        "metadata": _as_json(metadata),
        "method": "local",
    }
    context.progress("validation", unit="percent", done=100, total=100)
    return Completed(result=result)


def preprocess_chunks(context: TaskContext, payload: PreprocessChunks) -> Outcome:
    """Handles ``preprocess_chunks``: refuses a list that nothing can be made of before anything is started."""
    context.check()
    _check(payload.chunks)
    empty = sum(not chunk["chunk_text"].strip() for chunk in payload.chunks)
    characters = sum(len(chunk["chunk_text"]) for chunk in payload.chunks)
    return Completed(
        result={
            "document_id": payload.document_id,
            "chunks": len(payload.chunks),
            "empty": empty,
            "characters": characters,
        }
    )


def postprocess_metadata(context: TaskContext, payload: PostprocessMetadata) -> Outcome:
    """Handles ``postprocess_metadata``: what most chunks say counts for the document."""
    context.check()
    found = [result["metadata"] for result in payload.results if result is not None]
    summed_up = {
        "document_id": payload.document_id,
        "chunks": len(payload.results),
        "described": len(found),
        "title": next((metadata["title"] for metadata in found if metadata["title"]), ""),
        "keywords": _most(found, "keywords", _KEYWORDS),
        "entities": _most(found, "entities", _ENTITIES),
        "language": next(iter(_most_common([metadata["language"] for metadata in found])), "und"),
    }
    return Completed(result=summed_up, items=[result for result in payload.results if result is not None])


class MetadataPipelines:
    """Handles ``batch_metadata_generation`` and ``process_document_pipeline``."""

    def __init__(self, composer: Composer) -> None:
        self._composer = composer

    def batch(self, context: TaskContext, payload: BatchMetadata) -> Outcome:
        """Every chunk beside the others; one that fails is counted."""
        return self._composer.carry_on(context, Group(_steps(payload.chunks, None)), Policy.CONTINUE)

    def document(self, context: TaskContext, payload: DocumentPipeline) -> Outcome:
        """Preprocess, then every chunk beside the others, then postprocess with what came of them."""
        own = {"document_id": payload.document_id}
        work = Chain(
            (
                Step(kind="preprocess_chunks", payload={**own, "chunks": payload.chunks}),
                Group(_steps(payload.chunks, payload.document_id)),
                Step(kind="postprocess_metadata", payload={**own, "results": previous()}),
            )
        )
        return self._composer.carry_on(context, work, Policy.CONTINUE)


def _check(chunks: Sequence[Json]) -> None:
    if not chunks:
        raise InvalidInput("list_empty", field="chunks")
    for number, chunk in enumerate(chunks):
        if not isinstance(chunk.get("chunk_id"), int | str) or not isinstance(chunk.get("chunk_text"), str):
            raise InvalidInput("chunk_incomplete", field=f"chunks[{number}]", known=", ".join(chunk))


def _steps(chunks: Sequence[Json], document_id: int | str | None) -> tuple[Step, ...]:
    _check(chunks)
    return tuple(
        Step(
            kind="generate_metadata_for_chunk",
            payload={
                "chunk_id": chunk["chunk_id"],
                "chunk_text": chunk["chunk_text"],
                "document_id": chunk.get("document_id", document_id),
            },
        )
        for chunk in chunks
    )


def _as_json(metadata: Metadata) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(metadata).items()}


def _most(found: Sequence[Mapping[str, Any]], name: str, count: int) -> list[str]:
    return _most_common([value for metadata in found for value in metadata[name]])[:count]


def _most_common(values: Sequence[str]) -> list[str]:
    return [value for value, _ in Counter(values).most_common()]
