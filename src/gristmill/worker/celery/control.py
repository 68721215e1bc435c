"""Celery's remote control, answered from rows: ``celery inspect``, ``celery control`` and Flower ask these."""

from collections.abc import Callable, Sequence
from typing import Any

from celery.worker.control import Panel

from gristmill.celery.opened import gristmill
from gristmill.clock import from_micros
from gristmill.engines.celery import kind_of, task_name
from gristmill.engines.policy import CELERY
from gristmill.tasks.model import Task, TaskFilter, TaskState
from gristmill.worker.celery.announcer import shown_arguments

__all__ = ["install_commands"]

_MOST = 1000
_MICROS = 1_000_000


def install_commands() -> None:
    """Put these commands in the place of Celery's own; how they are called stays as it is."""
    ours: tuple[Callable[..., Any], ...] = (
        *(active, reserved, scheduled, revoked, query_task, revoke, terminate),
        *(rate_limit, time_limit, add_consumer, cancel_consumer, pool_grow, pool_shrink),
    )
    for command in ours:
        Panel.data[command.__name__] = command
        if alias := Panel.meta[command.__name__].alias:
            Panel.data[alias] = command


def active(state: Any, **_: Any) -> list[dict[str, Any]]:
    """List the tasks that the slots of this worker hold."""
    return [_request(task, state) for worker in _ours(state) for task in gristmill().store.held(worker)]


def reserved(state: Any, **_: Any) -> list[dict[str, Any]]:
    """List the tasks whose messages this worker holds and that wait for a slot."""
    found = gristmill().store.get_many(state.consumer.front.waiting[:_MOST])
    return [_request(task, state) for task in found if task.state is TaskState.PENDING]


def scheduled(state: Any, **_: Any) -> list[dict[str, Any]]:
    """List the tasks that wait for their time."""
    return [
        {
            "eta": from_micros(task.scheduled_at).isoformat() if task.scheduled_at else None,
            "priority": task.priority,
            "request": _request(task, state),
        }
        for task in _found(state, TaskState.PENDING)
        if not task.due
    ]


def revoked(state: Any, **_: Any) -> list[str]:
    """List the tasks that were cancelled, the latest first."""
    return [task.id for task in _found(state, TaskState.CANCELLED)]


def query_task(state: Any, ids: Any, **_: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Tell what is known of tasks, wherever they are."""
    found = gristmill().store.get_many(_ids(ids))
    return {task.id: (_place(task), _request(task, state)) for task in found}


def revoke(state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **_: Any) -> dict[str, str]:  # noqa: FBT001, FBT002 - Celery's signature
    """Cancel tasks; running ones are told to stop, and killed if they do not."""
    del state, terminate, signal
    ids = _ids(task_id)
    # The cancel is a row: who hears of it first does not matter, and that others hear it too does no harm.
    changed = gristmill().tasks.cancel(TaskFilter(ids=ids)) if ids else 0
    return {"ok": f"{changed} of {len(ids)} tasks cancelled"}


def terminate(state: Any, signal: Any, task_id: Any, **_: Any) -> dict[str, str]:
    """Cancel tasks, as revoke does."""
    return revoke(state, task_id, terminate=True, signal=signal)


def rate_limit(state: Any, task_name: str, rate_limit: Any, **_: Any) -> dict[str, str]:
    """Refused: Gristmill has no rate limits per worker."""
    del state, rate_limit
    return {"error": f"{task_name} has no rate limit: a limit per worker would hold for one worker alone."}


def time_limit(state: Any, task_name: str = "", **_: Any) -> dict[str, str]:
    """Refused: time limits are settings, which hold on every engine."""
    del state
    kind = kind_of(task_name) or "KIND"
    return {"error": f"Set tasks.kinds.{kind}.soft_limit_seconds and hard_limit_seconds in the settings."}


def add_consumer(state: Any, queue: str, **_: Any) -> dict[str, str]:
    """Refused: the slots of a worker keep the queues it was started with."""
    del state
    return {"error": f"Start a worker with -Q {queue}; this one keeps its queues."}


def cancel_consumer(state: Any, queue: str, **_: Any) -> dict[str, str]:
    """Refused, as add_consumer is."""
    del state
    return {"error": f"Start this worker without {queue} in -Q; it keeps its queues."}


def pool_grow(state: Any, n: int = 1, **_: Any) -> dict[str, str]:
    """Refused: a worker keeps the slots it was started with."""
    del state, n
    return {"error": "The number of slots is fixed. Start another worker, or this one with another -c."}


def pool_shrink(state: Any, n: int = 1, **_: Any) -> dict[str, str]:
    """Refused, as pool_grow is."""
    return pool_grow(state, n)


def _ids(given: str | Sequence[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else [str(task_id) for task_id in given or ()]


def _ours(state: Any) -> list[str]:
    """The ids under which the slots of this worker are registered."""
    workers = gristmill().store.workers()
    return [worker.id for worker in workers if worker.name == state.hostname and worker.engine == CELERY]


def _found(state: Any, wanted: TaskState) -> list[Task]:
    queues = list(state.app.amqp.queues.consume_from)
    return gristmill().tasks.find(TaskFilter(states=[wanted], engines=[CELERY], queues=queues), limit=_MOST)


def _place(task: Task) -> str:
    match task.state:
        case TaskState.PROCESSING:
            return "active"
        case TaskState.PENDING:
            return "reserved" if task.due else "scheduled"
        case _:
            return "ready"


def _request(task: Task, state: Any) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task_name(task.kind),
        "type": task_name(task.kind),
        "args": [],
        "kwargs": shown_arguments(task.payload),
        "hostname": state.hostname,
        "time_start": task.started_at / _MICROS if task.started_at else None,
        "acknowledged": task.state is not TaskState.PENDING,
        "delivery_info": {"exchange": "", "routing_key": task.queue, "priority": task.priority, "redelivered": None},
        "worker_pid": state.consumer.pool.crew_pid,
    }
