"""Parks messages that nobody can read: each as a failed task, so that people see what came and why it did not run."""

import os
import socket

from gristmill.app import Gristmill
from gristmill.ids import new_id
from gristmill.tasks.model import Failed, NewTask, Released, Task, TaskError, TaskState, Worker

__all__ = ["PARKED_KIND", "park"]

PARKED_KIND = "message"
"""The kind of these tasks, which no worker has a handler for."""


def park(app: Gristmill, task_id: str, *, engine: str, queue: str, reason: str, name: str = "") -> Task:
    """A failed task ``task_id`` with the code ``message_unreadable``; may be repeated.

    ``name`` is what the message asked for, if that much could be read. Nothing else of it is kept: it may be secret.
    """
    new = NewTask(id=task_id, kind=PARKED_KIND, queue=queue, payload={"name": name}, engine=engine, max_attempts=1)
    task = app.store.add([new])[0]
    if task.state is not TaskState.PENDING or task.kind != PARKED_KIND:
        return task
    parker = Worker(
        id=new_id(), name="parking", engine=engine, queues=(queue,), slots=0, pid=os.getpid(), host=socket.gethostname()
    )
    app.store.register_worker(parker)
    try:
        held = app.store.claim(parker.id, queues=[queue], kinds=[PARKED_KIND], engines=[engine], ids=[task_id])
        for mine in held:
            error = TaskError(code="message_unreadable", facts={"queue": queue, "reason": reason})
            app.store.finish(mine.id, mine.lease, Failed(error=error))
    finally:
        app.store.remove_worker(parker.id, Released(reason="not parked"))
    return app.store.get(task_id)
