"""Raises a new engine's share step by step while it does as well as the old one, and takes it back when it does not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, Self

from gristmill.engines.policy import Policy
from gristmill.errors import InvalidInput
from gristmill.tasks.model import Json

__all__ = ["Canary", "Tally", "judge"]

_FEWEST_FAILURES = 3
"""So many must have failed before an error rate says anything."""
_NOTICEABLE_SECONDS = 0.05
"""A difference in time that nobody would notice is no reason to go back."""
_STALLED_HOLDS = 5
"""After so many times the length of a step without one task that ended, the new engine is taken to run nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The trial of one engine against another, as it is kept with the policy."""

    new: str
    old: str
    steps: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)
    """Shares of the new engine, each larger than the one before."""
    step: int = 0
    hold_seconds: float = 60.0
    """How long each step lasts at least."""
    least_tasks: int = 20
    """How many tasks must have ended on each engine before they are compared."""
    most_errors: float = 0.02
    """By how much the new engine's error rate may exceed the old one's."""
    slower: float = 1.5
    """How many times the old engine's median time from ready to ended the new one's may be."""
    since: int = 0
    """When the step began, in microseconds since the epoch."""
    ended: str | None = None
    """``raised`` when the new engine has all tasks, else why it has none."""

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in zip((0.0, *self.steps), self.steps, strict=False))
        if not self.steps or not rising or self.steps[-1] > 1:
            raise InvalidInput("canary_steps", value=", ".join(str(step) for step in self.steps))
        if self.new == self.old:
            raise InvalidInput("canary_needs_two", engine=self.new)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """The trial that :attr:`body` describes."""
        return cls(**{**body, "steps": tuple(body["steps"])})

    @property
    def body(self) -> Json:
        """As it is stored and shown."""
        return {**asdict(self), "steps": list(self.steps)}

    def policy(self, *, version: int) -> Policy:
        """The shares of the step it is at, or of its end."""
        share = self.steps[self.step]
        if self.ended is not None:
            share = 1.0 if self.ended == "raised" else 0.0
        shares = {name: part for name, part in ((self.new, share), (self.old, 1 - share)) if part > 0}
        return Policy(shares=shares, canary=self.body, version=version)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the tasks of one engine during a step."""

    failed: int
    seconds: tuple[float, ...]
    """From ready to ended, of each task that ended."""

    @property
    def count(self) -> int:
        return len(self.seconds)

    @property
    def error_rate(self) -> float:
        return self.failed / self.count if self.count else 0.0


def judge(canary: Canary, new: Tally, old: Tally, *, now: int) -> Canary:
    """``canary`` as it should go on: as it is, one step further, or ended."""
    if canary.ended is not None:
        return canary
    elapsed = (now - canary.since) / 1_000_000
    if old.count >= canary.least_tasks and not new.count and elapsed > _STALLED_HOLDS * canary.hold_seconds:
        return replace(canary, ended="stalled")
    if new.failed >= _FEWEST_FAILURES and new.error_rate > old.error_rate + canary.most_errors:
        return replace(canary, ended="errors")
    if min(new.count, old.count) < canary.least_tasks:
        return canary
    if median(new.seconds) > canary.slower * median(old.seconds) + _NOTICEABLE_SECONDS:
        return replace(canary, ended="slow")
    if elapsed < canary.hold_seconds:
        return canary
    further = canary.step + 1
    if further == len(canary.steps) or canary.steps[further] == 1:
        # There would be nothing left to compare with.
        return replace(canary, step=min(further, len(canary.steps) - 1), ended="raised")
    return replace(canary, step=further, since=now)
