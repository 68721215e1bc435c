"""A worker whose slots trust the bell for ever, and never look for themselves: what they run, they were told of.

``python -m tests.support.trusting SETTINGS``; its slots are started as ``python -m tests.support.trusting FD``.
"""

import json
import sys

import pytest

from gristmill.app import open_gristmill
from gristmill.logs import configure_logs
from gristmill.settings import Settings
from gristmill.worker import slot
from gristmill.worker.supervisor import Supervisor
from tests.support import handlers

__all__ = ["main"]

_EVER_SECONDS = 3600.0


def main() -> None:
    """A slot if there is a number, else the worker."""
    (given,) = sys.argv[1:]
    if given.isdigit():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(slot, "_IDLE_SECONDS", _EVER_SECONDS)
            handlers.main()
        return
    settings = Settings.model_validate(json.loads(given))
    configure_logs(settings.log.level, settings.log.format)
    app = open_gristmill(settings)
    try:
        Supervisor(app, count=1, slot_command=(sys.executable, "-m", "tests.support.trusting")).run()
    finally:
        app.close()


if __name__ == "__main__":
    main()
