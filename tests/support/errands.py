"""A handler of which workflows are made: it returns what it is given, held up or let down by name as a test likes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gristmill.tasks.kind import Kind
from gristmill.tasks.model import Completed, Failed, Outcome, TaskError
from gristmill.tasks.ports import TaskContext
from gristmill.tasks.retry import RetryPolicy
from tests.support.history import effect_of

__all__ = ["ERRAND_KINDS", "Errand", "errand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What to return, and under which name a test knows it."""

    name: str
    value: object = None
    items: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    """How long it takes at least."""
    folder: str = ""
    """Where ``hold-NAME`` keeps it from ending, and ``fail-NAME`` lets it fail."""


def errand(context: TaskContext, payload: Errand) -> Outcome:
    """Leaves one effect if it completes; see :mod:`tests.support.history`."""
    folder = Path(payload.folder)
    (folder / f"began-{payload.name}").touch()
    until = time.monotonic() + payload.seconds
    while time.monotonic() < until or (folder / f"hold-{payload.name}").exists():
        context.check()
        time.sleep(0.01)
    if (folder / f"fail-{payload.name}").exists():
        return Failed(error=TaskError(code="unexpected_error", facts={"error": payload.name}))
    result = {"name": payload.name, "value": payload.value}
    return Completed(result=result, items=payload.items, effect=effect_of(context.task))


ERRAND_KINDS: Mapping[str, Kind] = {
    "errand": Kind(
        name="errand",
        payload=Errand,
        soft_limit_seconds=30.0,
        hard_limit_seconds=60.0,
        retry=RetryPolicy(max_attempts=2, base_seconds=0.0, cap_seconds=0.0),
    )
}
