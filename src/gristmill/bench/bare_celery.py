"""A Celery application as its documentation begins one: what bare Celery does with the same tasks."""

import os

from celery import Celery

from gristmill.bench.marks import work

__all__ = ["app", "nap"]

app = Celery("bare", broker=os.environ["BENCH_BROKER"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, task_default_queue="bare-celery")


@app.task  # type: ignore[untyped-decorator]  # Published without types.
def nap(seconds: float) -> None:
    """Sleep, or do nothing."""
    work(seconds)
