"""The task store on SQL."""

from gristmill.db.tasks.store import SqlTaskStore

__all__ = ["SqlTaskStore"]
