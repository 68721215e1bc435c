"""A worker of the RQ engine that notices soon who is gone: ``python -m tests.support.rq_worker SETTINGS``."""

import json
import sys

import pytest

from gristmill.settings import Settings
from gristmill.worker.rq import front, seat

if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        # A minute passes otherwise until RQ's lists show the death of a worker.
        patch.setattr(seat, "ALIVE_SECONDS", 8)
        patch.setattr(front, "_BEAT_SECONDS", 1.0)
        patch.setattr(front, "_GHOSTS_SECONDS", 3.0)
        front.run(Settings.model_validate(json.loads(sys.argv[1])))
