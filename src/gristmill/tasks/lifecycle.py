"""The lifecycle: the only place that names a next state.

Each transition is an event name with the states it may start from and the state it leads to. Stores build their
guarded updates from this table, so that neither a bug nor a race can take a path that is not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.tasks.model import (
    Cancelled,
    Completed,
    Failed,
    Lost,
    Outcome,
    Released,
    Retried,
    Task,
    TaskState,
    Waiting,
)

__all__ = ["CRASH_LIMIT", "TRANSITIONS", "Transition", "transition_for"]

CRASH_LIMIT = 3
"""A task whose worker died this often is parked instead of taking the next worker down."""

_PENDING = frozenset({TaskState.PENDING})
_PROCESSING = frozenset({TaskState.PROCESSING})


@dataclass(frozen=True, slots=True)
class Transition:
    """From which states an event may happen, and the state it leads to."""

    name: str
    sources: frozenset[TaskState]
    target: TaskState


TRANSITIONS: Mapping[str, Transition] = {
    transition.name: transition
    for transition in (
        Transition("submitted", frozenset(), TaskState.PENDING),
        Transition("claimed", _PENDING, TaskState.PROCESSING),
        Transition("completed", _PROCESSING, TaskState.COMPLETED),
        Transition("failed", _PROCESSING, TaskState.FAILED),
        Transition("parked", _PROCESSING, TaskState.FAILED),
        Transition("cancelled", _PENDING | _PROCESSING, TaskState.CANCELLED),
        Transition("retry_scheduled", _PROCESSING, TaskState.PENDING),
        Transition("worker_lost", _PROCESSING, TaskState.PENDING),
        Transition("released", _PROCESSING, TaskState.PENDING),
        Transition("waiting", _PROCESSING, TaskState.PROCESSING),
        Transition("resumed", _PROCESSING, TaskState.PENDING),
        Transition("retried", frozenset({TaskState.FAILED, TaskState.CANCELLED}), TaskState.PENDING),
    )
}


def transition_for(task: Task, outcome: Outcome) -> Transition:
    """Which transition ends an attempt of ``task`` with ``outcome``.

    A requested cancel wins over everything that would run the task again, and over a pause for children; it does
    not undo a success or a failure that was reached first.
    """
    match outcome:
        case Completed():
            name = "completed"
        case Failed():
            name = "failed"
        case Cancelled():
            name = "cancelled"
        case _ if task.cancel_requested:
            name = "cancelled"
        case Retried():
            # A try that ended with its worker is counted as a crash, not against the task's own tries.
            name = "retry_scheduled" if task.attempt - task.crash_count < task.max_attempts else "failed"
        case Lost():
            name = "worker_lost" if task.crash_count + 1 < CRASH_LIMIT else "parked"
        case Released():
            name = "released"
        case Waiting():
            name = "waiting"
    return TRANSITIONS[name]
