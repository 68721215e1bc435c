"""Tidies at once, all of it, and says what there was to tidy."""

from collections.abc import Callable, Mapping

from gristmill.kinds import CleanUp
from gristmill.tasks.model import Completed, Outcome
from gristmill.tasks.ports import TaskContext

__all__ = ["Cleaner"]


class Cleaner:
    """Handles ``clean_up``; ``duties`` are those of the sweeper, by name, each telling how much there was to do."""

    def __init__(self, duties: Mapping[str, Callable[[], int]]) -> None:
        self._duties = duties

    def __call__(self, context: TaskContext, payload: CleanUp) -> Outcome:
        """The whole task."""
        del payload
        counts: dict[str, int] = {}
        for name, duty in self._duties.items():
            context.progress(name, unit="duties", done=len(counts), total=len(self._duties))
            counts[name] = duty()
        context.progress("done", unit="duties", done=len(counts), total=len(counts))
        return Completed(result=counts)
