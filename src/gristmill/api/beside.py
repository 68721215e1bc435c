"""What the API process does beside answering: it is there when no worker is, and looks more often than sweepers do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gristmill.app import Gristmill
from gristmill.errors import GristmillError
from gristmill.logs import get_log

__all__ = ["posting", "watching"]

_log = get_log(__name__)

_TURN_SECONDS = 5.0
"""How often it asks whether it is its turn to watch; the rules are looked at as often as the settings say."""
_POST_SECONDS = 1.0
_LAST_LOOK_SECONDS = 5.0


@contextmanager
def watching(app: Gristmill) -> Iterator[None]:
    """Watches for alerts until the block ends: that there is no worker has to be noticed, too."""
    every = app.settings.alerts.check_seconds
    # Who starts both starts the API first: a worker gets time to appear.
    with _looking("alerts", app.alert_watch.check, first_seconds=every, seconds=min(every, _TURN_SECONDS)):
        yield


@contextmanager
def posting(app: Gristmill) -> Iterator[None]:
    """Tends to webhooks until the block ends, so that receivers hear soon; posts go out on threads of their own."""

    def tend() -> None:
        if made := app.posting.tend():
            app.totals.add_duties({"deliveries.made": made})

    try:
        with _looking("webhooks", tend, first_seconds=_POST_SECONDS, seconds=_POST_SECONDS):
            yield
    finally:
        app.posting.close()


@contextmanager
def _looking(name: str, look: Callable[[], object], *, first_seconds: float, seconds: float) -> Iterator[None]:
    """Calls ``look`` again and again, in a thread of its own."""
    stop = threading.Event()

    def run() -> None:
        pause = first_seconds
        while not stop.wait(pause):
            pause = seconds
            try:
                look()
            except GristmillError as error:
                _log.warning(f"{name}.unchecked", error=str(error))
            except Exception:  # noqa: BLE001 - a defect in one look must not end all later ones
                _log.exception(f"{name}.check_raised")

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_LAST_LOOK_SECONDS)
