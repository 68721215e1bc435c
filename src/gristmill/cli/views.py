"""How things look to a machine and to a person: as JSON values, and as columns of text."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

import click

from gristmill.clock import from_micros, to_rfc3339

if TYPE_CHECKING:
    from gristmill.db.keys import ApiKey
    from gristmill.index.model import Collection, Document, Hit, Snapshot, Version
    from gristmill.tasks.kind import Kind
    from gristmill.tasks.model import Event, Task, Worker

__all__ = [
    "STATE_COLORS",
    "collection_json",
    "columns",
    "document_json",
    "duration",
    "error_json",
    "event_json",
    "hit_json",
    "key_json",
    "kind_json",
    "snapshot_json",
    "task_json",
    "version_json",
    "when",
    "worker_json",
]

STATE_COLORS: Mapping[str, str] = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "processing": "cyan",
    "indexed": "green",
}


def error_json(stored: Mapping[str, Any], language: str) -> dict[str, Any]:
    """A stored error with its words."""
    from gristmill.errors import error_from

    error = error_from(str(stored.get("type", "")), str(stored.get("code", "")), dict(stored.get("facts") or {}))
    return {"code": error.code, "message": error.message(language)}


def task_json(task: "Task", language: str) -> dict[str, Any]:
    """Everything about a task but what only stores care for."""
    from gristmill.tasks.secrets import masked

    progress = task.progress
    return {
        "id": task.number,
        "task_id": task.id,
        "kind": task.kind,
        "queue": task.queue,
        "engine": task.engine,
        "state": task.state.value,
        "priority": task.priority,
        "collection": task.collection,
        "parent_id": task.parent_id,
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "cancel_requested": task.cancel_requested,
        "progress": {
            "percent": progress.percent,
            "stage": progress.stage,
            "unit": progress.unit,
            "done": progress.done,
            "failed": progress.failed,
            "skipped": progress.skipped,
            "total": progress.total,
        },
        "payload": masked(task.payload),
        "result": task.result,
        "error": None if task.error is None else {"code": task.error.code, "message": task.error.message(language)},
        "worker_id": task.worker_id,
        "created_at": to_rfc3339(task.created_at),
        "scheduled_at": to_rfc3339(task.scheduled_at),
        "started_at": to_rfc3339(task.started_at),
        "updated_at": to_rfc3339(task.updated_at),
        "finished_at": to_rfc3339(task.finished_at),
    }


def event_json(event: "Event") -> dict[str, Any]:
    """Something that happened."""
    return {
        "seq": event.seq,
        "task_id": event.task_id,
        "at": to_rfc3339(event.at),
        "event": event.name,
        "attempt": event.attempt,
        "worker_id": event.worker_id,
        "detail": event.detail,
    }


def worker_json(worker: "Worker", *, alive: bool) -> dict[str, Any]:
    """A worker."""
    return {
        "worker_id": worker.id,
        "name": worker.name,
        "alive": alive,
        "engine": worker.engine,
        "queues": list(worker.queues),
        "slots": worker.slots,
        "pid": worker.pid,
        "host": worker.host,
        "started_at": to_rfc3339(worker.started_at),
        "beat_at": to_rfc3339(worker.beat_at),
    }


def kind_json(kind: "Kind") -> dict[str, Any]:
    """The rules of a kind."""
    return {
        "kind": kind.name,
        "queue": kind.queue,
        "soft_limit_seconds": kind.soft_limit_seconds,
        "hard_limit_seconds": kind.hard_limit_seconds,
        "max_attempts": kind.retry.max_attempts,
    }


def document_json(document: "Document", language: str) -> dict[str, Any]:
    """A document with its published version in short."""
    version = document.version
    return {
        "doc_id": document.id,
        "collection": document.collection,
        "name": document.name,
        "source": document.source,
        "origin": document.origin.value,
        "kind": document.material.value,
        "state": document.state.value,
        "title": document.title,
        "media_type": document.media_type,
        "size": document.size,
        "chunks": 0 if version is None else version.chunk_count,
        "version": None if version is None else version.number,
        "error": None if document.error is None else error_json(document.error, language),
        "created_at": to_rfc3339(document.created_at),
        "indexed_at": to_rfc3339(document.indexed_at),
    }


def snapshot_json(snapshot: "Snapshot") -> dict[str, Any]:
    """Everything about a snapshot."""
    return {
        "id": snapshot.id,
        "collection": snapshot.collection,
        "name": snapshot.name,
        "is_automatic": snapshot.is_automatic,
        "embedder": snapshot.space.embedder,
        "documents": snapshot.document_count,
        "chunks": snapshot.chunk_count,
        "created_at": to_rfc3339(snapshot.created_at),
    }


def version_json(version: "Version", language: str) -> dict[str, Any]:
    """A version and what was noticed on the way."""
    return {
        "version": version.number,
        "chunks": version.chunk_count,
        "embedded": version.embedded,
        "reused": version.reused,
        "deleted": version.deleted,
        "content_hash": version.content_hash,
        "published_at": to_rfc3339(version.published_at),
        "notices": [error_json(notice, language) for notice in version.notices],
    }


def collection_json(collection: "Collection") -> dict[str, Any]:
    """A collection with its counts."""
    return {
        "name": collection.name,
        "documents": collection.document_count,
        "chunks": collection.chunk_count,
        "embedder": collection.space.embedder,
        "model_id": collection.space.model_id,
        "dimension": collection.space.dimension,
        "chunk_size": collection.chunk_size,
        "chunk_overlap": collection.chunk_overlap,
        "created_at": to_rfc3339(collection.created_at),
    }


def key_json(key: "ApiKey") -> dict[str, Any]:
    """A key without its secret."""
    return {
        "key_id": key.id,
        "name": key.name,
        "scope": key.scope.value,
        "created_at": to_rfc3339(key.created_at),
        "revoked_at": to_rfc3339(key.revoked_at),
    }


def hit_json(hit: "Hit") -> dict[str, Any]:
    """An answer line of a search."""
    return {
        "score": round(hit.score, 6),
        "doc_id": hit.document_id,
        "name": hit.name,
        "source": hit.source,
        "title": hit.title,
        "version": hit.version,
        "kind": hit.material.value,
        "position": hit.position,
        "text": hit.text,
        "location": {
            "page": hit.place.page,
            "headings": list(hit.place.headings),
            "part": hit.place.part,
            "start": hit.place.start,
            "end": hit.place.end,
        },
        "vector_score": hit.vector_score,
        "keyword_score": hit.keyword_score,
        "highlights": [
            {"text": fragment.text, "ranges": [list(pair) for pair in fragment.ranges]} for fragment in hit.highlights
        ],
    }


def when(micros: int | None) -> str:
    """A time on this machine's clock, to the second."""
    if micros is None:
        return "-"
    local: datetime = from_micros(micros).astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Seconds as people say them: ``4.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def columns(rows: Sequence[Sequence[object]], *, head: Sequence[str]) -> list[str]:
    """Lines with aligned columns; a wide character takes two places, and the last column is not padded."""
    table = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(_width(row[at]) for row in table) for at in range(len(head))]
    lines = [
        "  ".join(cell + " " * (widths[at] - _width(cell)) for at, cell in enumerate(row)).rstrip() for row in table
    ]
    return [click.style(lines[0], bold=True), *lines[1:]]


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in click.unstyle(text))
