"""Health answers."""

from typing import Literal

from pydantic import Field

from gristmill.api.schemas.fields import Output

__all__ = ["Alive", "Health"]


class Alive(Output):
    """The process answers."""

    status: Literal["alive"] = "alive"
    version: str


class Health(Output):
    """Whether work gets done."""

    status: Literal["healthy", "unhealthy"]
    reason: str | None
    active_workers: int
    worker_names: list[str] = Field(description="Empty for callers who may not read.")
