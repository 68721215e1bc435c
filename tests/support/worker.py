"""A worker process whose slots know the test handlers: ``python -m tests.support.worker SETTINGS``."""

import json
import sys

from gristmill.app import open_gristmill
from gristmill.logs import configure_logs
from gristmill.settings import Settings
from gristmill.worker.supervisor import Supervisor
from tests.support.handlers import SLOT_COMMAND

__all__ = ["main"]


def main() -> None:
    """Work until told to stop."""
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    configure_logs(settings.log.level, settings.log.format)
    app = open_gristmill(settings)
    try:
        Supervisor(app, count=settings.workers.concurrency or 1, slot_command=SLOT_COMMAND).run()
    finally:
        app.close()


if __name__ == "__main__":
    main()
