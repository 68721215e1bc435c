"""The front of the RQ engine: a worker that RQ lists, which takes its jobs and follows their rows."""

from gristmill.worker.rq.front import run

__all__ = ["run"]
