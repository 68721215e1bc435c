"""An ended task as receivers of webhooks are told of it: the fields that ``GET /api/tasks/{id}`` answers with."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gristmill.clock import to_rfc3339
from gristmill.engines.celery_states import percent
from gristmill.errors import error_from
from gristmill.tasks.model import Task
from gristmill.tasks.secrets import masked
from gristmill.tasks.service import eta_seconds

__all__ = ["posted_task"]


def posted_task(task: Task, *, language: str, now: int) -> dict[str, Any]:
    """``task`` as JSON, with its messages in ``language`` and without its secrets."""
    eta = eta_seconds(task, now)
    return {
        "id": task.id,
        "number": task.number,
        "kind": task.kind,
        "queue": task.queue,
        "engine": task.engine,
        "state": task.state.value,
        "priority": task.priority,
        # The root is where this machine keeps its files, which is no business of others.
        "payload": {name: value for name, value in masked(task.payload).items() if name != "root"},
        "progress": percent(task),
        "progress_detail": asdict(task.progress),
        "eta_seconds": None if eta is None else round(eta, 1),
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "crash_count": task.crash_count,
        "lease": task.lease,
        "cancel_requested": task.cancel_requested,
        "created_at": to_rfc3339(task.created_at),
        "updated_at": to_rfc3339(task.updated_at),
        "scheduled_at": to_rfc3339(task.scheduled_at),
        "started_at": to_rfc3339(task.started_at),
        "finished_at": to_rfc3339(task.finished_at),
        "worker_id": task.worker_id,
        "parent_id": task.parent_id,
        "collection": task.collection,
        "user_id": task.user_id,
        "result": None if task.result is None else _told(task.result, language),
        "item_count": task.item_count,
        "error": None if task.error is None else _worded(asdict(task.error), language),
    }


def _told(result: Mapping[str, Any], language: str) -> dict[str, Any]:
    shown = dict(result)
    if "error" in shown:
        shown["error"] = _worded(shown["error"], language)
    if isinstance(notices := shown.get("notices"), list):
        shown["notices"] = [_worded(notice, language) for notice in notices]
    return shown


def _worded(value: Any, language: str) -> Any:
    if not (isinstance(value, Mapping) and isinstance(value.get("code"), str)):
        return value
    error = error_from(value.get("type", ""), value["code"], value.get("facts") or {})
    return {"code": error.code, "message": error.message(language)}
