"""Engines as clients see and choose them."""

from typing import Literal

from pydantic import Field

from gristmill.api.schemas.fields import Input, Output

__all__ = ["CanaryBody", "EngineChange", "EngineView", "MemberView"]

_Name = Literal["local", "celery", "rq"]


class CanaryBody(Input):
    """A trial of an engine against the one in use; what is not given keeps its default."""

    engine: _Name = Field(description="The engine to try.")
    steps: list[float] | None = Field(None, min_length=1, max_length=20, description="Rising shares, up to 1.")
    hold_seconds: float | None = Field(None, ge=1, le=86_400, description="How long each step lasts at least; 60.")
    least_tasks: int | None = Field(None, ge=1, le=1000, description="Ended tasks needed on each engine; 20.")
    most_errors: float | None = Field(None, ge=0, le=1, description="Error rate allowed beyond the old one's; 0.02.")
    slower: float | None = Field(None, ge=1, le=100, description="Times the old one's median time allowed; 1.5.")


class EngineChange(Input):
    """One of the three."""

    name: _Name | None = Field(None, description="Gives all tasks to this engine.")
    ratio: float | None = Field(
        None, ge=0, le=1, description="Share of the tasks that Celery gets; the rest goes to RQ, or stays local."
    )
    canary: CanaryBody | None = Field(None, description="Raises an engine's share step by step while it does well.")


class MemberView(Output):
    """One engine that is set up, or that tasks still wait for."""

    share: float
    ok: bool
    reason: str | None
    waiting: int
    running: int


class EngineView(Output):
    """What is in force."""

    name: str
    ratio: float
    changed: bool
    version: int
    canary: dict[str, object] | None
    engines: dict[str, MemberView]
