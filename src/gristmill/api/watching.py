"""The API's share in watching for alerts: it is there when no worker is, which is what has to be noticed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gristmill.app import Gristmill
from gristmill.errors import GristmillError
from gristmill.logs import get_log

__all__ = ["watching"]

_log = get_log(__name__)

_LOOK_SECONDS = 5.0
"""How often it asks whether it is its turn; the rules are looked at as often as the settings say."""
_LAST_LOOK_SECONDS = 5.0


@contextmanager
def watching(app: Gristmill) -> Iterator[None]:
    """Watches in a thread of its own until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(app, stop), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_LAST_LOOK_SECONDS)


def _watch(app: Gristmill, stop: threading.Event) -> None:
    every = app.settings.alerts.check_seconds
    # Who starts both starts the API first: a worker gets time to appear.
    pause = every
    while not stop.wait(pause):
        pause = min(every, _LOOK_SECONDS)
        try:
            app.alert_watch.check()
        except GristmillError as error:
            _log.warning("alerts.unchecked", error=str(error))
        except Exception:  # noqa: BLE001 - a defect in one look must not end all later ones
            _log.exception("alerts.check_raised")
