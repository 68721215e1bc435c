"""``python -m gristmill.api``: the same API as ``gristmill serve``, for programs that start one."""

import sys

from gristmill.api.server import run_api
from gristmill.errors import GristmillError, InvalidInput
from gristmill.settings import Settings, load_settings

__all__ = ["main"]


def main() -> int:
    """Serve until told to stop, as the environment and the settings file say; the exit code."""
    settings: Settings | None = None
    try:
        settings = load_settings()
        run_api(settings)
    except GristmillError as error:
        language = settings.language if settings is not None else "en"
        sys.stderr.write(f"error: {error.message(language)}\n")
        return 2 if isinstance(error, InvalidInput) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
