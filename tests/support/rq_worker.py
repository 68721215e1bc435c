"""A worker of the RQ engine: ``python -m tests.support.rq_worker SETTINGS``."""

import json
import sys

from gristmill.settings import Settings
from gristmill.worker.rq import run

if __name__ == "__main__":
    run(Settings.model_validate(json.loads(sys.argv[1])))
