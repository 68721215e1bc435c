"""The front of the Celery engine: a Celery worker that receives messages, beside a crew that runs what they tell of."""

from gristmill.worker.celery.program import run

__all__ = ["run"]
