"""The local engine: workers on this machine claim rows by themselves, and a bell tells them when to look."""

from collections.abc import Mapping, Sequence
from typing import Any

from gristmill.engines.bell import Bell
from gristmill.tasks.model import Task

__all__ = ["LocalEngine"]


class LocalEngine:
    """Implements :class:`gristmill.tasks.ports.Engine` without a broker."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell

    @property
    def name(self) -> str:
        return "local"

    @property
    def pulls(self) -> bool:
        return True

    def dispatch(self, tasks: Sequence[Task]) -> None:
        del tasks  # The rows say it all.
        self._bell.ring()

    def revoke(self, task_ids: Sequence[str]) -> None:
        del task_ids
        self._bell.ring()

    def health(self) -> Mapping[str, Any]:
        return {"ok": True, "reason": None}
