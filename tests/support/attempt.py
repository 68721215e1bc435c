"""Runs one attempt of whatever is due, in a process that may die of it: ``python -m tests.support.attempt SETTINGS``."""

import json
import sys

from gristmill.app import open_gristmill
from gristmill.settings import Settings
from gristmill.tasks.context import RunContext
from gristmill.tasks.runner import Runner
from gristmill.worker.build import build_handlers
from tests.support.tasks import WORKER

__all__ = ["main"]


def main() -> None:
    """Claim a task for the worker of the test, and run it."""
    app = open_gristmill(Settings.model_validate(json.loads(sys.argv[1])))
    runner = Runner(app.store, app.kinds, build_handlers(app), app.clock)
    (task,) = app.store.claim(WORKER, queues=app.settings.workers.queues, kinds=runner.kinds)
    context = RunContext(task, app.store, app.clock, temp_dir=app.paths.temp / task.id)
    runner.run(task, context, guard=lambda attempt: attempt())
    app.close()


if __name__ == "__main__":
    main()
