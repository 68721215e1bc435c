"""Puts spans around what is submitted, where they are wanted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gristmill.monitoring.tracing import NO_TRACING, OtelTracing, Tracing
from gristmill.tasks.model import NewTask, Task
from gristmill.tasks.service import TaskService

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["TracedTaskService", "build_tracing"]


class TracedTaskService(TaskService):
    """A task service that tells ``tracing`` what it accepts."""

    def __init__(self, tracing: Tracing, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._tracing = tracing

    def submit_all(self, drafts: Sequence[NewTask]) -> list[Task]:
        """Accept all of ``drafts`` or none."""
        with self._tracing.submitting(drafts):
            return super().submit_all(drafts)


def build_tracing(app: "Gristmill") -> Tracing:
    """Where the spans of this process go."""
    settings = app.settings.tracing
    return NO_TRACING if settings.otlp_url is None else OtelTracing(settings, app.store.get)
