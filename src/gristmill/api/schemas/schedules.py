"""Schedules as clients see and describe them."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from gristmill.api.schemas.fields import Input, Output, Priority
from gristmill.api.schemas.told import ErrorView
from gristmill.clock import to_rfc3339
from gristmill.tasks.model import Task, TaskState
from gristmill.tasks.schedule import Misfire, Overlap, Schedule
from gristmill.tasks.secrets import masked
from gristmill.tasks.ticks import Cron, Every

__all__ = ["LastTask", "NewScheduleBody", "ScheduleChanges", "ScheduleList", "ScheduleView"]

_MOST_CHARS = 200


def _written(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Interval = Annotated[
    str,
    BeforeValidator(_written),
    Field(max_length=_MOST_CHARS),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": _MOST_CHARS}, {"type": "integer"}]}),
]
_CRON = "Five fields (minute, hour, day of month, month, day of week), or `@daily` and its like."
_EVERY = "Instead of `cron`: seconds, or `90s`, `15m`, `2h`, `1d`."
_TIMEZONE = "Whose clocks the cron rule is about; by default that of the settings."
_KIND = "What to do."
_PAYLOAD = "Its arguments; a path in `source` must lie under a configured root."
_COLLECTION = "Collection to file the tasks under; `index_source` has its own."
_MISFIRE = "What becomes of ticks that nobody looked at in time: one task for all, one for each (at most 100), none."
_OVERLAP = "Whether a tick is skipped while the task before has not ended."


class NewScheduleBody(Input):
    """A task that is to recur."""

    name: str = Field(max_length=_MOST_CHARS, description="What it is called; no two alike.", examples=["nightly"])
    cron: str | None = Field(None, max_length=_MOST_CHARS, description=_CRON, examples=["0 3 * * *"])
    every: _Interval | None = Field(None, description=_EVERY, examples=["15m"])
    timezone: str | None = Field(None, max_length=100, description=_TIMEZONE, examples=["Europe/Berlin"])
    kind: str = Field(max_length=100, description=_KIND, examples=["index_source"])
    payload: dict[str, Any] = Field(
        default_factory=dict, description=_PAYLOAD, examples=[{"source": "/srv/docs", "collection": "handbook"}]
    )
    priority: Priority = 5
    collection: str | None = Field(None, max_length=100, description=_COLLECTION)
    misfire: Misfire = Field(Misfire.ONCE, description=_MISFIRE)
    overlap: Overlap = Field(Overlap.SKIP, description=_OVERLAP)
    paused: bool = Field(False, description="Whether it is to wait until it is resumed.")


class ScheduleChanges(Input):
    """What is to be different; what is not given, or null, stays."""

    name: str | None = Field(None, max_length=_MOST_CHARS, description="What it is called.")
    cron: str | None = Field(None, max_length=_MOST_CHARS, description=_CRON)
    every: _Interval | None = Field(None, description=_EVERY)
    timezone: str | None = Field(None, max_length=100, description=_TIMEZONE)
    kind: str | None = Field(None, max_length=100, description=_KIND)
    payload: dict[str, Any] | None = Field(None, description=_PAYLOAD)
    priority: Priority | None = None
    collection: str | None = Field(None, max_length=100, description=_COLLECTION)
    misfire: Misfire | None = Field(None, description=_MISFIRE)
    overlap: Overlap | None = Field(None, description=_OVERLAP)


class LastTask(Output):
    """The latest task of a schedule."""

    id: str
    state: TaskState | None = Field(description="Null once it is no longer kept.")
    submitted_at: str | None


class ScheduleView(Output):
    """One schedule."""

    id: str
    name: str
    cron: str | None
    timezone: str | None
    every_seconds: int | None
    kind: str
    payload: dict[str, Any]
    priority: int
    collection: str | None
    misfire: Misfire
    overlap: Overlap
    paused: bool
    next_tick_at: str | None = Field(description="Null while it is paused.")
    next_ticks: list[str] = Field(description="The next five.")
    last_tick_at: str | None = Field(description="The latest tick that submitted a task.")
    last_task: LastTask | None = Field(description="Submitted by a tick, or by hand.")
    fired: int = Field(description="Ticks that submitted a task.")
    skipped: int = Field(description="Ticks that did not, because the task before had not ended.")
    missed: int = Field(description="Ticks that did not, because nobody looked at them in time.")
    error: ErrorView | None = Field(description="Why the tick that is due could not submit its task.")
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, schedule: Schedule, *, ticks: Sequence[int], last_task: Task | None, language: str) -> "ScheduleView":
        """``schedule`` for a client, with its next ``ticks`` and its latest task."""
        rule = schedule.rule
        last = None
        if schedule.last_task_id is not None:
            last = LastTask(
                id=schedule.last_task_id,
                state=None if last_task is None else last_task.state,
                submitted_at=to_rfc3339(schedule.last_run_at),
            )
        return cls(
            id=schedule.id,
            name=schedule.name,
            cron=rule.expression if isinstance(rule, Cron) else None,
            timezone=rule.timezone if isinstance(rule, Cron) else None,
            every_seconds=rule.seconds if isinstance(rule, Every) else None,
            kind=schedule.kind,
            # The root is where this machine keeps its files, which is no business of clients.
            payload={name: value for name, value in masked(schedule.payload).items() if name != "root"},
            priority=schedule.priority,
            collection=schedule.collection,
            misfire=schedule.misfire,
            overlap=schedule.overlap,
            paused=schedule.paused,
            next_tick_at=to_rfc3339(ticks[0]) if ticks else None,
            next_ticks=[to_rfc3339(tick) or "" for tick in ticks],
            last_tick_at=to_rfc3339(schedule.last_tick_at),
            last_task=last,
            fired=schedule.fired,
            skipped=schedule.skipped,
            missed=schedule.missed,
            error=None if schedule.error is None else ErrorView.of(schedule.error, language),
            created_at=to_rfc3339(schedule.created_at) or "",
            updated_at=to_rfc3339(schedule.updated_at) or "",
        )


class ScheduleList(Output):
    """All schedules, by name."""

    schedules: list[ScheduleView]
