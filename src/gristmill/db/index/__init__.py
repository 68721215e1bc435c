"""The index store on SQL."""

from gristmill.db.index.store import SqlIndexStore

__all__ = ["SqlIndexStore"]
