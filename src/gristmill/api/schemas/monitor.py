"""What operators see: workers, queues, kinds, alerts."""

from typing import Any, Literal

from pydantic import Field

from gristmill.api.schemas.fields import Output
from gristmill.api.schemas.tasks import TaskView
from gristmill.clock import to_rfc3339
from gristmill.db.alerts import Alert
from gristmill.monitoring.alerts import alert_message
from gristmill.monitoring.monitor import QueueLength, WorkerSeen
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import TaskState

__all__ = [
    "AlertList",
    "AlertView",
    "KindList",
    "KindView",
    "QueueList",
    "QueueView",
    "Stats",
    "TaskList",
    "WorkerList",
    "WorkerView",
]


class WorkerView(Output):
    """A process that runs tasks."""

    id: str
    name: str
    alive: bool
    engine: str
    queues: list[str]
    slots: int = Field(description="Tasks it can run at a time.")
    host: str
    pid: int
    version: str = Field(description="Empty if it did not say.")
    started_at: str
    beat_at: str = Field(description="Its last heartbeat.")

    @classmethod
    def of(cls, seen: WorkerSeen) -> "WorkerView":
        """A worker for a client."""
        worker = seen.worker
        return cls(
            id=worker.id,
            name=worker.name,
            alive=seen.alive,
            engine=worker.engine,
            queues=list(worker.queues),
            slots=worker.slots,
            host=worker.host,
            pid=worker.pid,
            version=worker.version,
            started_at=to_rfc3339(worker.started_at) or "",
            beat_at=to_rfc3339(worker.beat_at) or "",
        )


class WorkerList(Output):
    """All workers that are registered."""

    workers: list[WorkerView]


class TaskList(Output):
    """The first tasks of those that were asked for."""

    tasks: list[TaskView]


class QueueView(Output):
    """A queue at one moment, on all engines together."""

    queue: str
    waiting: int = Field(description="Could be claimed now.")
    scheduled: int = Field(description="Wait for their time.")
    active: int = Field(description="Run, or wait for their sub-tasks.")
    oldest_seconds: float | None = Field(
        description="How long the one that waits longest has waited; null if none does."
    )

    @classmethod
    def of(cls, length: QueueLength) -> "QueueView":
        """A queue for a client."""
        return cls(
            queue=length.queue,
            waiting=length.waiting,
            scheduled=length.scheduled,
            active=length.active,
            oldest_seconds=None if length.oldest_seconds is None else round(length.oldest_seconds, 3),
        )


class QueueList(Output):
    """The queues that kinds are routed to, and all others that hold tasks."""

    queues: list[QueueView]


class KindView(Output):
    """A kind of task."""

    kind: str
    queue: str
    soft_limit_seconds: float
    hard_limit_seconds: float
    max_attempts: int

    @classmethod
    def of(cls, kind: Kind) -> "KindView":
        """A kind for a client."""
        return cls(
            kind=kind.name,
            queue=kind.queue,
            soft_limit_seconds=kind.soft_limit_seconds,
            hard_limit_seconds=kind.hard_limit_seconds,
            max_attempts=kind.retry.max_attempts,
        )


class KindList(Output):
    """The kinds there are, as configured."""

    kinds: list[KindView]


class Stats(Output):
    """Workers and tasks in numbers."""

    workers: int = Field(description="Those that are alive.")
    slots: int = Field(description="Tasks they can run at a time.")
    tasks: dict[TaskState, int] = Field(description="By state; states without any are absent.")


class AlertView(Output):
    """A condition that somebody should know of, from when it was noticed until it was no more."""

    id: str
    rule: str
    severity: Literal["warning", "critical"]
    subject: str = Field(description="The queue, task or machine that it is about; empty where there is only one.")
    state: Literal["firing", "resolved"]
    message: str
    facts: dict[str, Any]
    fired_at: str
    resolved_at: str | None

    @classmethod
    def of(cls, alert: Alert, language: str) -> "AlertView":
        """An alert for a client."""
        return cls.model_validate(
            {
                "id": alert.id,
                "rule": alert.rule,
                "severity": alert.severity,
                "subject": alert.subject,
                "state": "firing" if alert.resolved_at is None else "resolved",
                "message": alert_message(alert.rule, alert.facts, language),
                "facts": dict(alert.facts),
                "fired_at": to_rfc3339(alert.fired_at),
                "resolved_at": to_rfc3339(alert.resolved_at),
            }
        )


class AlertList(Output):
    """Alerts, those that fired last at the front."""

    alerts: list[AlertView]
