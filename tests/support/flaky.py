"""A store in front of a real one that fails as often as a test asks for."""

from collections.abc import Callable
from typing import Any

from gristmill.tasks.ports import TaskStore

__all__ = ["FlakyStore"]


class FlakyStore:
    """Raises ``error`` at the first ``times`` calls of ``method``; everything else reaches the real store."""

    def __init__(self, store: TaskStore, method: str, error: Exception, *, times: int) -> None:
        self._store = store
        self._method = method
        self._error = error
        self.left = times

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real: Callable[..., Any] = getattr(self._store, name)
        if name != self._method:
            return real

        def call(*arguments: Any, **options: Any) -> Any:
            if self.left:
                self.left -= 1
                raise self._error
            return real(*arguments, **options)

        return call
