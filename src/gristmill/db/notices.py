"""Word of new work between the machines that share a Postgres server, by ``LISTEN`` and ``NOTIFY``.

A hint and no more: it says only that a look is worth while, and whoever misses it looks in time anyway.
"""

import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import text

from gristmill.db.database import Database
from gristmill.logs import get_log

__all__ = ["PAUSE_SECONDS", "Ears", "Notices"]

_log = get_log(__name__)

_CHANNEL = "gristmill"
PAUSE_SECONDS = 0.025
"""However much happens, a process gives no more than one notice in this time: those that do so wait for each other."""
_LAST_SECONDS = 2.0
_FIRST_RETRY_SECONDS = 0.2
_SLOWEST_RETRY_SECONDS = 15.0

# One transaction at a time may give notice; it shall not keep the others waiting until the disk has it.
_GIVE = text("SELECT set_config('synchronous_commit', 'off', true), pg_notify(:channel, :place)")


class Notices:
    """Gives notice for this process and lets it hear others; implements :class:`gristmill.engines.far_bell.Line`.

    Those who share ``directory`` have nearer means to wake each other, and do not hear each other here.
    """

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._directory = directory
        self._called = threading.Event()
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._teller: threading.Thread | None = None

    def call(self) -> None:
        """Give notice soon, from a thread that nobody waits for."""
        self._called.set()
        if self._teller is None:
            with self._starting:
                if self._teller is None:
                    self._teller = threading.Thread(target=self._tell, name="notices", daemon=True)
                    self._teller.start()

    def listen(self, wake: Callable[[], None]) -> "Ears":
        """Call ``wake``, from a thread of its own, whenever somebody elsewhere may have given notice."""
        return Ears(self._database, _place(self._directory), wake)

    def close(self) -> None:
        """Give the last notice, if the server takes it soon."""
        if self._teller is not None:
            self._ended.set()
            self._called.set()
            self._teller.join(timeout=_LAST_SECONDS)

    def _tell(self) -> None:
        place = _place(self._directory)
        while self._called.is_set() or not self._ended.is_set():
            self._called.wait()
            # Before it is given: what happens meanwhile is worth another.
            self._called.clear()
            try:
                with self._database.write() as transaction:
                    transaction.execute(_GIVE, {"channel": _CHANNEL, "place": place})
            except Exception as error:  # noqa: BLE001 - whoever does not hear of it looks for itself in time
                _log.debug("notice.not_given", error=str(error))
            self._ended.wait(PAUSE_SECONDS)


class Ears:
    """One connection that listens, for as long as it is not closed; restored whenever it is lost."""

    def __init__(self, database: Database, place: str, wake: Callable[[], None]) -> None:
        self._database = database
        self._place = place
        self._wake = wake
        self._closing = threading.Event()
        self._end, self._asked_to_end = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="ears", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear no more; ``wake`` is not called after this."""
        self._closing.set()
        self._asked_to_end.close()
        self._thread.join()
        self._end.close()

    def _listen(self) -> None:
        pause = _FIRST_RETRY_SECONDS
        while not self._closing.is_set():
            try:
                with self._database.alone() as driver:
                    driver.execute(f"LISTEN {_CHANNEL}")
                    pause = _FIRST_RETRY_SECONDS
                    # Who knows what was said before.
                    self._wake()
                    self._hear(driver)
            except Exception as error:  # noqa: BLE001 - the worker looks for itself meanwhile
                _log.info("notices.lost", error=type(error).__name__)
                self._closing.wait(pause)
                pause = min(2 * pause, _SLOWEST_RETRY_SECONDS)

    def _hear(self, driver: Any) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(driver, selectors.EVENT_READ)
            selector.register(self._end, selectors.EVENT_READ)
            while not self._closing.is_set():
                selector.select()
                places = {notice.payload for notice in driver.notifies(timeout=0)}
                if places - {self._place}:
                    self._wake()


def _place(directory: Path) -> str:
    """A name for the processes that share ``directory`` on one machine; another at the same path is another."""
    with suppress(OSError):
        found = directory.stat()
        return f"{socket.gethostname()}/{found.st_dev}/{found.st_ino}"
    return f"{socket.gethostname()}/{os.getpid()}"
