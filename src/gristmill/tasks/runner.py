"""Runs one claimed task: decode, handle, classify what came of it, finish. The same steps on every engine."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from gristmill.clock import Clock
from gristmill.errors import Conflict, GristmillError
from gristmill.logs import get_log
from gristmill.tasks.context import (
    CancelRequested,
    LeaseLost,
    ReleaseRequested,
    RunContext,
    SoftLimitReached,
    Stop,
)
from gristmill.tasks.kind import Kind, decode_payload
from gristmill.tasks.model import (
    Attempted,
    Cancelled,
    Completed,
    Failed,
    Outcome,
    Released,
    Retried,
    Task,
    TaskError,
)
from gristmill.tasks.ports import Handler, TaskStore

__all__ = ["Runner"]

_log = get_log(__name__)

_CONFLICT_DELAY_SECONDS = 0.2
_SLOWEST_FINISH_SECONDS = 5.0


class Runner:
    """Runs attempts with the handlers this process knows."""

    def __init__(
        self,
        store: TaskStore,
        kinds: Mapping[str, Kind],
        handlers: Mapping[str, Handler],
        clock: Clock,
        *,
        random_source: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._handlers = handlers
        self._clock = clock
        self._random = random_source
        self._sleep = sleep

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds this process can run; the others wait for a worker that knows them."""
        return frozenset(self._handlers)

    def run(self, task: Task, context: RunContext, *, guard: Callable[[Callable[[], Outcome]], Outcome]) -> Task | None:
        """Run one attempt of a claimed task to its end; the task as it is then, None if the lease was lost.

        ``guard`` calls the handler; it is where a process puts its means of interrupting one.
        """
        _log.info("task.started", kind=task.kind, attempt=task.attempt)
        try:
            outcome = guard(lambda: self._attempt(task, context))
        except Stop as stop:
            outcome = self._classify(task, stop)
        except Exception as error:  # noqa: BLE001 - the guard's own failure must still end the attempt
            outcome = self._classify(task, error)
        outcome = _with_progress(outcome, context)
        ended = self._finish(task, outcome)
        if ended is None:
            _log.warning("task.lease_lost", lease=task.lease)
        else:
            _log.info("task.ended", kind=task.kind, state=ended.state.value)
        return ended

    def _attempt(self, task: Task, context: RunContext) -> Outcome:
        try:
            payload = decode_payload(self._kinds[task.kind], task.payload)
            returned = self._handlers[task.kind](context, payload)
        except (Stop, Exception) as error:  # noqa: BLE001 - every failure has its place in the outcome table
            return self._classify(task, error)
        return returned if isinstance(returned, Attempted) else Completed(result=returned)

    def _classify(self, task: Task, error: BaseException) -> Outcome:
        match error:
            case CancelRequested():
                return Cancelled()
            case ReleaseRequested():
                return Released(reason="worker shut down")
            case LeaseLost():
                return Released(reason="lease lost")
            case SoftLimitReached():
                seconds = task.soft_limit_seconds
                return Failed(error=TaskError(code="soft_limit_exceeded", facts={"seconds": seconds}))
            case MemoryError():
                return Failed(error=TaskError(code="memory_exhausted"))
            case GristmillError(transient=False):
                return Failed(error=TaskError.of(error))
            case GristmillError():
                return self._retried(task, TaskError.of(error))
            case _:
                # What a client may read names the kind of error only; the log holds the rest.
                _log.exception("task.raised", kind=task.kind)
                return self._retried(task, TaskError(code="unexpected_error", facts={"error": type(error).__name__}))

    def _retried(self, task: Task, error: TaskError) -> Retried:
        delay = self._kinds[task.kind].retry.delay_seconds(task.attempt, random_source=self._random)
        return Retried(error=error, delay_seconds=delay)

    def _finish(self, task: Task, outcome: Outcome) -> Task | None:
        pause = _CONFLICT_DELAY_SECONDS
        while True:
            try:
                return self._store.finish(task.id, task.lease, outcome)
            except Conflict as conflict:
                # The effect met a newer state of the index than the one it was prepared for: prepare it again.
                outcome = Retried(error=TaskError.of(conflict), delay_seconds=_CONFLICT_DELAY_SECONDS)
            except Exception as error:
                if isinstance(error, GristmillError) and (error.transient or error.code == "disk_full"):
                    # The work is done; waiting for the database beats doing it again. The hard limit bounds this.
                    self._sleep(pause)
                    pause = min(2 * pause, _SLOWEST_FINISH_SECONDS)
                elif isinstance(outcome, Retried) or (isinstance(outcome, Failed) and outcome.effect is None):
                    # Nothing simpler is left to write: let the process end, which is noticed and counted.
                    raise
                else:
                    outcome = self._classify(task, error)


def _with_progress(outcome: Outcome, context: RunContext) -> Outcome:
    if outcome.progress is not None:
        return outcome
    values: dict[str, Any] = {field: getattr(outcome, field) for field in outcome.__dataclass_fields__}
    return type(outcome)(**{**values, "progress": context.latest_progress})
