"""``python -m gristmill.worker``: the same worker as ``gristmill worker``, for programs that start one."""

import argparse
import sys
from pathlib import Path

from gristmill.engines.local import LOCAL
from gristmill.engines.policy import ENGINES
from gristmill.errors import GristmillError, InvalidInput, Unavailable
from gristmill.settings import Settings, load_settings
from gristmill.worker.foreground import run_worker

__all__ = ["main"]


def main() -> int:
    """Run until told to stop; the exit codes are those of the command line."""
    parser = argparse.ArgumentParser(prog="python -m gristmill.worker", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="data directory")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file to read")
    parser.add_argument("--queues", metavar="A,B", help="queues to listen to")
    parser.add_argument("--concurrency", type=int, metavar="N", help="slots; by default one per CPU core")
    parser.add_argument("--engine", choices=ENGINES, default=LOCAL, help="whose tasks to run, without its messages")
    parser.add_argument("--attached", action="store_true", help="stop when standard input ends")
    options = parser.parse_args()
    settings: Settings | None = None
    try:
        settings = load_settings(
            config=options.config,
            data=options.data,
            overrides={"workers": {"queues": options.queues, "concurrency": options.concurrency}},
        )
        run_worker(settings, attached=options.attached, engine=options.engine)
    except GristmillError as error:
        language = settings.language if settings is not None else "en"
        sys.stderr.write(f"error: {error.message(language)}\n")
        return 2 if isinstance(error, InvalidInput) else 3 if isinstance(error, Unavailable) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
