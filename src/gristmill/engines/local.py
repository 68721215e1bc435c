"""The local engine: workers on this machine claim rows by themselves, and a bell tells them when to look."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gristmill.engines.bell import Bell
from gristmill.tasks.ports import Ready

__all__ = ["LOCAL", "LocalEngine"]

LOCAL = "local"


class LocalEngine:
    """Implements :class:`gristmill.tasks.ports.Engine` without a broker."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell

    @property
    def name(self) -> str:
        return LOCAL

    @property
    def homes(self) -> Collection[str]:
        return {LOCAL}

    def choose(self, task_id: str) -> str:
        del task_id
        return LOCAL

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        del tasks  # The rows say it all.
        self._bell.ring()

    def revoke(self, task_ids: Sequence[str]) -> None:
        del task_ids
        self._bell.ring()

    def health(self) -> Mapping[str, Any]:
        return {"ok": True, "reason": None}

    def close(self) -> None:
        """Nothing is open."""
