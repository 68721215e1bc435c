"""Tells receivers of the ends of tasks: reads them from the event log, and posts them, signed, until they arrive.

Any number of processes may do so: the rows say what has been made of the log, and to whom somebody is posting. Posts
go out on threads of their own, one for each webhook that has something due, so that a slow receiver holds up itself
and nobody else.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from gristmill.app.posted import posted_task
from gristmill.app.receivers import is_hopeless, reason_of
from gristmill.app.webhook import Webhook
from gristmill.clock import Clock, to_rfc3339
from gristmill.db.deliveries import Deliveries, Due, End
from gristmill.db.webhooks import StoredWebhook, Webhooks
from gristmill.errors import GristmillError
from gristmill.ids import new_id
from gristmill.logs import get_log
from gristmill.settings.model import WebhookSettings
from gristmill.tasks.lifecycle import TRANSITIONS
from gristmill.tasks.model import Event, Json, TaskError
from gristmill.tasks.ports import EventTail, TaskStore
from gristmill.tasks.retry import RetryPolicy

__all__ = ["Posting"]

_log = get_log(__name__)

_ENDS = {name: transition.target for name, transition in TRANSITIONS.items() if transition.target.is_final}
_EVENTS = 1000
_PER_LOOK_SECONDS = 1.0
_AT_ONCE = 16
"""Receivers that one process posts to at a time."""
_MARGIN_SECONDS = 5.0
"""How much longer than its time limit a post can take, with what is written before and after it."""
_LAST_WORDS_SECONDS = 5.0
_AGAIN = RetryPolicy(base_seconds=10.0, cap_seconds=3600.0)
_LONGEST_PAUSE_SECONDS = 60.0
"""A receiver that is away is asked this often at least, however much waits for it."""
_LEAST_TRIES = 12
_PATIENCE_SECONDS = 24 * 3600
"""A delivery is given up when it is this old, and was tried often enough."""
_PURGED_AT_ONCE = 500


class Posting:
    """One process's share in posting."""

    def __init__(
        self,
        webhooks: Webhooks,
        deliveries: Deliveries,
        store: TaskStore,
        settings: WebhookSettings,
        clock: Clock,
        *,
        language: str,
        record: Callable[[Mapping[str, int]], None],
    ) -> None:
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._store = store
        self._settings = settings
        self._clock = clock
        self._language = language
        self._record = record
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._posting: dict[str, threading.Thread] = {}
        self._closed = False
        self._tail: EventTail | None = None

    def tend(self) -> int:
        """Make what deliveries there are to be made, how many, and have posted what is due. Posting goes on beside it."""
        with self._looking:
            made = self._make()
        for webhook_id in self._deliveries.due():
            self._begin(webhook_id)
        return made

    def purge(self) -> int:
        """Forget old deliveries; how many."""
        kept = int(self._settings.keep_days * 24 * 3600 * 1_000_000)
        return self._deliveries.purge(before=self._clock.now() - kept, limit=_PURGED_AT_ONCE)

    def ping(self, webhook_id: str) -> TaskError | None:
        """Post something that means nothing, now, once; why it did not arrive, if it did not.

        :class:`NotFound` (``webhook_not_found``).
        """
        webhook = self._webhooks.get(webhook_id)
        delivery_id = new_id()
        failure = self._send(webhook, delivery_id, {"event": "ping", "at": to_rfc3339(self._clock.now())})
        return None if failure is None else reason_of(failure)

    def close(self) -> None:
        """Post nothing more; what is on its way may arrive, if that is soon."""
        with self._lock:
            self._closed = True
            posting = list(self._posting.values())
        until = time.monotonic() + _LAST_WORDS_SECONDS
        for thread in posting:
            thread.join(max(0.0, until - time.monotonic()))

    def _make(self) -> int:
        until = self._clock.monotonic() + _PER_LOOK_SECONDS
        made = 0
        while (after := self._deliveries.position()) is not None:
            if self._tail is None or self._tail.position != after:
                # Another process has read on, or a webhook is new.
                self._tail = self._store.tail(after=after)
            events = self._tail.read(limit=_EVENTS)
            if events:
                made += self._deliveries.make(self._ends(events), after=after, until=events[-1].seq)
            if not events or self._clock.monotonic() > until:
                break
        return made

    def _ends(self, events: Sequence[Event]) -> list[End]:
        """What ``events`` say of tasks that ended; of one that is forgotten by now nobody can be told."""
        ended = [event for event in events if event.name in _ENDS]
        found = self._store.get_many(list(dict.fromkeys(event.task_id for event in ended))) if ended else []
        tasks = {task.id: task for task in found}
        now = self._clock.now()
        shown = {task.id: posted_task(task, language=self._language, now=now) for task in found}
        return [
            End(
                seq=event.seq,
                task=tasks[event.task_id],
                state=_ENDS[event.name],
                body={
                    "event": f"task.{_ENDS[event.name].value}",
                    "seq": event.seq,
                    "at": to_rfc3339(event.at),
                    "task": shown[event.task_id],
                },
            )
            for event in ended
            if event.task_id in tasks
        ]

    def _begin(self, webhook_id: str) -> None:
        with self._lock:
            if self._closed or webhook_id in self._posting or len(self._posting) >= _AT_ONCE:
                return
            thread = threading.Thread(target=self._post_all, args=(webhook_id,), name="webhook", daemon=True)
            self._posting[webhook_id] = thread
            # Not outside: whoever closes waits for those that are listed, and only what was started can be waited for.
            thread.start()

    def _post_all(self, webhook_id: str) -> None:
        """Post to one webhook until nothing is due or something did not arrive."""
        busy_seconds = self._settings.timeout_seconds + _MARGIN_SECONDS
        outcomes: Counter[str] = Counter()
        try:
            while not self._closed and (due := self._deliveries.take(webhook_id, busy_seconds=busy_seconds)):
                outcomes[self._post(due)] += 1
            self._record(outcomes)
        except GristmillError as error:
            _log.warning("webhook.not_posted", webhook=webhook_id, error=str(error))
        finally:
            with self._lock:
                del self._posting[webhook_id]

    def _post(self, due: Due) -> str:
        """Post one delivery and note how that went: what is counted."""
        about = {"webhook": due.webhook.id, "delivery": due.id, "task_id": due.task_id, "tries": due.tries}
        failure = self._send(due.webhook, due.id, due.body)
        if failure is None:
            self._deliveries.arrived(due)
            _log.info("delivery.delivered", **about)
            return "deliveries.delivered"
        reason = reason_of(failure)
        is_gone = reason.code == "receiver_gone"
        again_seconds = None if is_hopeless(failure) or self._is_given_up(due) else _AGAIN.delay_seconds(due.tries)
        self._deliveries.failed(
            due,
            reason,
            again_seconds=again_seconds,
            pause_seconds=min(_LONGEST_PAUSE_SECONDS, 2.0 ** min(due.webhook.failures, 10)),
            switch_off=is_gone,
        )
        if is_gone:
            _log.warning("webhook.gone", webhook=due.webhook.id)
        if again_seconds is None:
            _log.error("delivery.failed", error=reason.message(), **about)
            return "deliveries.failed"
        _log.warning("delivery.postponed", error=reason.message(), seconds=round(again_seconds), **about)
        return "deliveries.postponed"

    def _send(self, webhook: StoredWebhook, delivery_id: str, body: Json) -> GristmillError | None:
        """Why ``body`` did not arrive, if it did not."""
        try:
            receiver = self._webhooks.receiver(webhook)
            Webhook(
                receiver.url,
                secret=receiver.secret,
                timeout_seconds=self._settings.timeout_seconds,
                allowed_hosts=self._settings.allowed_hosts,
            ).post(delivery_id, {"event": body["event"], "delivery": delivery_id, **body})
        except GristmillError as error:
            return error
        except Exception as error:  # noqa: BLE001 - what is wrong with one delivery must not hold up those behind it
            _log.exception("delivery.raised", webhook=webhook.id, delivery=delivery_id)
            return GristmillError("unexpected_error", error=type(error).__name__)
        return None

    def _is_given_up(self, due: Due) -> bool:
        age = (self._clock.now() - due.created_at) / 1_000_000
        return due.tries >= _LEAST_TRIES and age >= _PATIENCE_SECONDS
