"""Celery's consumer, as far as it is ours: it hands every message to the front, readable or not."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from celery.exceptions import ImproperlyConfigured
from celery.worker.consumer import Consumer
from redis.exceptions import ResponseError

from gristmill.celery.opened import gristmill
from gristmill.engines.celery import OURS
from gristmill.ids import content_hash
from gristmill.logs import get_log
from gristmill.worker.celery.announcer import Announcer
from gristmill.worker.celery.control import install_commands
from gristmill.worker.celery.front import Front, Hint
from gristmill.worker.celery.pool import SupervisorPool
from gristmill.worker.celery.transport import tolerate

__all__ = ["FrontConsumer", "strategy"]

_log = get_log(__name__)
_logger = logging.getLogger(__name__)
"""For what Celery itself has to say of a message."""

_LEAST_HINTS = 64
_HINTS_PER_SLOT = 8
_TURN_SECONDS = 0.1
_SOONEST_SECONDS = 0.02
"""Messages that come close together are looked at together: a query costs as much as ten of them."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_LONGEST_NAME = 100


class FrontConsumer(Consumer):  # type: ignore[misc]  # Published without types.
    """Receives messages, ``worker_consumer`` of our workers. Holds a bounded number that nobody has claimed yet."""

    connection_errors: tuple[type[Exception], ...]

    def __init__(self, *args: Any, pool: Any = None, initial_prefetch_count: int = 0, **options: Any) -> None:
        if not isinstance(pool, SupervisorPool) or options["controller"].autoscale:
            # Celery has nothing else that could run our tasks, and the number of slots is fixed.
            raise ImproperlyConfigured("Gristmill's workers bring their own pool: leave out --pool and --autoscale.")
        room = max(_LEAST_HINTS, _HINTS_PER_SLOT * (pool.limit or 1), initial_prefetch_count)
        super().__init__(*args, pool=pool, initial_prefetch_count=room, **options)
        # A server that refuses, because it is full for one, is as good as away; to Celery, it would be the end.
        self.connection_errors = (*self.connection_errors, ResponseError)
        install_commands()
        self._turn_is_due = False
        self._turned_at = float("-inf")
        pool.when_ended = self._say_last_words

    @cached_property
    def front(self) -> Front:
        """Where messages go."""
        app = gristmill()
        return Front(app, Announcer(app.store, lambda: self.event_dispatcher, name=self.hostname))

    def receive(self, hint: Hint) -> None:
        """Pass a message on; many that come together are looked at together."""
        self.front.receive(hint)
        self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            self.hub.call_later(max(0.0, self._turned_at + _SOONEST_SECONDS - time.monotonic()), self._turn)

    def _turn(self) -> None:
        self._turn_is_due = False
        self.front.turn()
        self._turned_at = time.monotonic()

    def _say_last_words(self) -> None:
        self.front.turn()
        self._flush_events()

    def register_with_event_loop(self, hub: Any) -> None:
        """Look at rows as long as the loop runs."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(_TURN_SECONDS, self._turn)

    def on_ready(self) -> None:
        """Messages come from now on."""
        super().on_ready()
        _log.info("celery.ready", worker=self.hostname)

    def on_close(self) -> None:
        """The connection is gone: what it delivered cannot be acknowledged any more."""
        super().on_close()
        self.front.let_go()

    def connection_for_read(self, heartbeat: float | None = None) -> Any:
        """A connection on which an unreadable entry is not the end."""
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        tolerate(connection, self._on_unreadable)
        return self.ensure_connected(connection)

    def ensure_connected(self, conn: Any) -> Any:
        """Try for ever, at pauses of at most five seconds."""
        conn.ensure_connection = partial(
            conn.ensure_connection,
            interval_start=_FIRST_PAUSE_SECONDS,
            interval_step=_FIRST_PAUSE_SECONDS,
            interval_max=_LONGEST_PAUSE_SECONDS,
        )
        return super().ensure_connected(conn)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """What is called with each message; whatever is wrong with one does not end the worker."""
        handle = super().create_task_handler(*args, **options)

        def on_message(message: Any) -> None:
            try:
                handle(message)
            except self.connection_errors:
                raise
            except Exception as error:  # noqa: BLE001 - anybody may have sent anything
                self._park(message, type(error).__name__)

        return on_message

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """JSON, but not of a task."""
        del body
        self._park(message, "not a task message")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """A task that does not exist."""
        del body, exc
        self._park(message, "unknown task")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Not JSON, or a call that nobody could make."""
        del body
        self._park(message, type(exc).__name__)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Not what it says it is."""
        self._park(message, type(exc).__name__)

    def _park(self, message: Any, reason: str) -> None:
        headers = message.headers if isinstance(message.headers, Mapping) else {}
        task_id, name = headers.get("id"), headers.get("task")
        self.front.receive_unreadable(
            task_id if isinstance(task_id, str) and task_id else _id_of(message.body),
            queue=message.delivery_info.get("routing_key") or "",
            reason=reason,
            name=str(name)[:_LONGEST_NAME] if name else "",
            ack=partial(message.ack_log_error, _logger, self.connection_errors),
        )
        self._turn_soon()

    def _on_unreadable(self, queue: str, content: bytes) -> None:
        self.front.receive_unreadable(
            _id_of(content), queue=queue, reason="not a Celery message", name="", ack=lambda: None
        )
        self._turn_soon()


def strategy(task: Any, _app: Any, consumer: Any) -> Callable[..., None]:
    """How a worker deals with the messages for ``task``; Celery asks once for each of them."""

    def on_message(message: Any, _body: Any, ack: Callable[..., None], *_: Any) -> None:
        headers = message.headers
        if not isinstance(headers.get("id"), str):
            raise TypeError("no id")
        consumer.receive(
            Hint(
                task_id=headers["id"],
                kind=task.kind,
                queue=message.delivery_info["routing_key"],
                ack=partial(ack, _logger, consumer.connection_errors),
                call=None if headers.get(OURS) else partial(_call, message),
            )
        )

    return on_message


def _call(message: Any) -> tuple[Sequence[Any], Mapping[str, Any], Mapping[str, Any]]:
    """Arguments, keyword arguments and options of a call that somebody else's Celery sent."""
    args, kwargs, embedded = message.payload
    headers = message.headers
    hard, soft = headers.get("timelimit") or (None, None)
    return (
        args,
        kwargs,
        {
            **{name: headers.get(name) for name in ("eta", "expires", "parent_id")},
            "time_limit": hard,
            "soft_time_limit": soft,
            # Nobody can send our lowest: it is what Celery sends when nothing was said.
            "priority": message.properties.get("priority") or None,
            **{f"embedded {name}": value for name, value in embedded.items()},
        },
    )


def _id_of(content: object) -> str:
    return content_hash(content if isinstance(content, str | bytes) else repr(content))[:32]
