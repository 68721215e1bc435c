"""An engine with a broker: an outbox between whoever submits and a server that may be slow, full or away.

Submitting never waits for the broker. What cannot be delivered is dropped, because the rows hold the truth and workers
find them without being told; the broker's state is kept for whoever decides where new tasks go.
"""

import atexit
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from gristmill.engines.bell import Bell
from gristmill.errors import GristmillError, Unavailable
from gristmill.logs import get_log
from gristmill.tasks.ports import Ready

__all__ = ["Broker", "BrokerEngine"]

_log = get_log(__name__)

_MOST_WAITING = 100_000
"""Messages kept for a broker that is slow; beyond it the oldest are dropped."""
_BATCH = 500
_PROBE_SECONDS = 1.0
"""How often a broker that failed is asked again."""
_FRESH_SECONDS = 5.0
"""How long what was last seen of the broker's health counts."""
_FLUSH_SECONDS = 2.0


class Broker(Protocol):
    """The server that carries messages to the workers of one engine. Used by one thread at a time."""

    @property
    def name(self) -> str:
        """The engine's name."""
        ...

    def publish(self, tasks: Sequence[Ready]) -> None:
        """Send one message for each of ``tasks``, their ids and no more; :class:`Unavailable` within two seconds."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life; :class:`Unavailable` within two seconds, which says what is wrong."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class BrokerEngine:
    """Implements :class:`gristmill.tasks.ports.Engine` over a :class:`Broker`."""

    def __init__(self, broker: Broker, bell: Bell) -> None:
        self._broker = broker
        self._bell = bell
        self._waiting: deque[Ready] = deque(maxlen=_MOST_WAITING)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._in_hand = 0
        """Messages that are being sent."""
        self._asked = False
        """Whether somebody wants to know how the broker is."""
        self._fault: GristmillError | None = None
        self._seen_at = float("-inf")
        self._since = time.monotonic()
        """Since when it has been as it is."""

    @property
    def name(self) -> str:
        return self._broker.name

    @property
    def homes(self) -> Collection[str]:
        return {self.name}

    def choose(self, task_id: str) -> str:
        del task_id
        return self.name

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        # Workers of this machine need not wait for the message.
        self._bell.ring()
        if tasks:
            with self._changed:
                self._waiting.extend(tasks)
                self._work()

    def revoke(self, task_ids: Sequence[str]) -> None:
        del task_ids
        self._bell.ring()

    def health(self) -> Mapping[str, Any]:
        with self._changed:
            if time.monotonic() - self._seen_at > _FRESH_SECONDS:
                self._asked = True
                self._work()
            fault = self._fault
            steady = time.monotonic() - self._since
            known = {"ok": fault is None, "reason": None, "steady_seconds": steady, "outbox": len(self._waiting)}
        return known if fault is None else {**known, "reason": fault.code, "facts": dict(fault.facts)}

    def look(self, *, timeout_seconds: float = _FLUSH_SECONDS) -> Mapping[str, Any]:
        """What :meth:`health` says after asking the broker, if it answers in time."""
        with self._changed:
            self._asked = True
            self._work()
            self._changed.wait_for(lambda: not self._asked, timeout_seconds)
        return self.health()

    def flush(self) -> None:
        """Wait until all that was to be told is told or cannot be, at most two seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._in_hand), _FLUSH_SECONDS)

    def close(self) -> None:
        self.flush()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            atexit.unregister(self.close)
            thread.join(_FLUSH_SECONDS)

    def _work(self) -> None:
        """Have the outbox at work; called with the lock held."""
        if self._thread is None or not self._thread.is_alive():
            # Not before it is needed: a process may fork after this object was made, and most never send anything.
            self._closing = False
            self._thread = threading.Thread(target=self._run, name=f"{self.name} outbox", daemon=True)
            self._thread.start()
            atexit.register(self.close)
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, None if self._fault is None else _PROBE_SECONDS)
                if self._closing:
                    break
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                self._in_hand = len(batch)
            self._note(self._send(batch))
        self._broker.close()

    def _has_work(self) -> bool:
        return self._closing or self._asked or (self._fault is None and bool(self._waiting))

    def _send(self, batch: Sequence[Ready]) -> GristmillError | None:
        try:
            if batch:
                self._broker.publish(batch)
            else:
                self._broker.ping()
        except GristmillError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the outbox must go on
            _log.exception("broker.failed", engine=self.name)
            return Unavailable("broker_unreachable", engine=self.name, reason=type(error).__name__)
        return None

    def _note(self, fault: GristmillError | None) -> None:
        with self._changed:
            if (fault is None) != (self._fault is None):
                self._since = time.monotonic()
                if fault is None:
                    _log.info("broker.back", engine=self.name)
                else:
                    _log.warning("broker.away", engine=self.name, error=str(fault))
            self._fault, self._seen_at = fault, time.monotonic()
            self._in_hand, self._asked = 0, False
            if fault is not None:
                # Their rows are found without them, and will be old news when the broker is back.
                self._waiting.clear()
            self._changed.notify_all()
