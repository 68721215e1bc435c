"""The API's share in posting to webhooks: it looks more often than sweepers do, so that receivers hear soon."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gristmill.app import Gristmill
from gristmill.errors import GristmillError
from gristmill.logs import get_log

__all__ = ["posting"]

_log = get_log(__name__)

_LOOK_SECONDS = 1.0
_LAST_LOOK_SECONDS = 5.0


@contextmanager
def posting(app: Gristmill) -> Iterator[None]:
    """Posts on threads of its own until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=_post, args=(app, stop), name="posting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_LAST_LOOK_SECONDS)
        app.posting.close()


def _post(app: Gristmill, stop: threading.Event) -> None:
    while not stop.wait(_LOOK_SECONDS):
        try:
            if made := app.posting.tend():
                app.totals.add_duties({"deliveries.made": made})
        except GristmillError as error:
            _log.warning("webhooks.untended", error=str(error))
        except Exception:  # noqa: BLE001 - a defect in one look must not end all later ones
            _log.exception("webhooks.look_raised")
