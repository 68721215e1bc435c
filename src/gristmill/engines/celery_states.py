"""Our task states in the words of Celery, for clients that know those. The view ``index_tasks`` says the same in SQL."""

from gristmill.tasks.model import Task, TaskState

__all__ = ["celery_state", "percent"]


def celery_state(task: Task, *, progress: bool) -> str:
    """PENDING, RETRY, STARTED, SUCCESS, FAILURE or REVOKED; with ``progress``, PROGRESS once a total is known."""
    match task.state:
        case TaskState.PENDING:
            return "RETRY" if task.attempt > 0 else "PENDING"
        case TaskState.PROCESSING:
            return "PROGRESS" if progress and task.progress.total is not None else "STARTED"
        case TaskState.COMPLETED:
            return "SUCCESS"
        case TaskState.FAILED:
            return "FAILURE"
        case TaskState.CANCELLED:
            return "REVOKED"


def percent(task: Task) -> int:
    """How far the task is; 100 once it is done, whatever it counted."""
    return 100 if task.state is TaskState.COMPLETED else task.progress.percent
