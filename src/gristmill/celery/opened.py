"""The Gristmill behind the Celery application of this process: opened when it is first needed, once per process."""

import atexit
import os
import threading
from typing import TYPE_CHECKING

from gristmill.settings import Settings, load_settings

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["gristmill", "settings", "use"]

_lock = threading.RLock()
_settings: Settings | None = None
_opened: "tuple[int, Gristmill] | None" = None


def use(chosen: Settings) -> None:
    """Take these settings instead of those that a file and the environment give; before anything else is asked."""
    global _settings, _opened
    with _lock:
        _settings, _opened = chosen, None


def settings() -> Settings:
    """The settings in force, read when first asked for."""
    global _settings  # noqa: PLW0603 - one per process is what this module is for
    with _lock:
        if _settings is None:
            _settings = load_settings()
        return _settings


def gristmill() -> "Gristmill":
    """The Gristmill of this process: a fork opens one of its own."""
    from gristmill.app import open_gristmill

    global _opened  # noqa: PLW0603 - as above
    with _lock:
        if _opened is None or _opened[0] != os.getpid():
            app = open_gristmill(settings())
            _opened = (os.getpid(), app)
            atexit.register(app.close)
        return _opened[1]
