"""A worker process whose slots know the test handlers: ``python -m tests.support.worker SETTINGS [ENGINE]``.

Of any engine; by default that of the settings. With ``crew`` before the settings, the process of slots that a front starts.
"""

import json
import sys
from functools import partial

import pytest

from gristmill.app import open_gristmill
from gristmill.logs import configure_logs
from gristmill.settings import Settings
from gristmill.worker import crew, foreground
from gristmill.worker.supervisor import Supervisor
from tests.support.handlers import SLOT_COMMAND, TEST_KINDS

__all__ = ["main"]

_CREW_COMMAND = (sys.executable, "-m", "tests.support.worker", "crew")


def main() -> None:
    """Work until told to stop."""
    if sys.argv[1] == "crew":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(foreground, "Supervisor", partial(Supervisor, slot_command=SLOT_COMMAND))
            sys.exit(crew.main())
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    match sys.argv[2] or settings.engine.name:
        case "celery":
            _celery(settings)
        case "rq":
            _rq(settings)
        case _:
            _local(settings)


def _local(settings: Settings) -> None:
    configure_logs(settings.log.level, settings.log.format)
    app = open_gristmill(settings)
    try:
        Supervisor(app, count=settings.workers.concurrency or 1, slot_command=SLOT_COMMAND).run()
    finally:
        app.close()


def _celery(settings: Settings) -> None:
    from gristmill import kinds
    from gristmill.worker.celery.pool import SupervisorPool
    from gristmill.worker.celery.program import run

    with pytest.MonkeyPatch.context() as patch:
        # Before anybody makes Celery tasks of them.
        for name, kind in TEST_KINDS.items():
            patch.setitem(kinds.KINDS, name, kind)
        patch.setattr(SupervisorPool, "crew_command", _CREW_COMMAND)
        run(settings)


def _rq(settings: Settings) -> None:
    from gristmill.worker.rq import front

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(front, "Front", partial(front.Front, crew_command=_CREW_COMMAND))
        front.run(settings)


if __name__ == "__main__":
    main()
