"""The way to Celery workers: a message for each task, with its id and no more, over the Redis that Celery uses.

Also makes the Celery application that everyone here shares, so that who sends and who receives agree on every setting.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from gristmill.engines.policy import CELERY
from gristmill.engines.redis import connect, failure, failures, prove
from gristmill.errors import Unavailable
from gristmill.kinds import KINDS, QUEUES, effective_kinds
from gristmill.settings.model import KindSettings, RedisSettings
from gristmill.tasks.ports import Ready

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection, Producer

__all__ = ["OURS", "CeleryBroker", "broker_url", "configuration", "kind_of", "make_app", "task_name"]

OURS = "gristmill"
"""The header of a message that only says which row to look at."""

_SUFFIX = "_task"
_PREFIX = "tasks."

_CONNECT_SECONDS = 0.8
_ANSWER_SECONDS = 1.0
_HEALTH_CHECK_SECONDS = 5
"""Also how long a worker waits beyond the second in which a server that lives would have answered."""
_UNACKED_SECONDS = 30
"""After which a message that a dead worker held is given to another. One who lives may hold it for longer: then it is
delivered twice, which does no harm."""


def task_name(kind: str) -> str:
    """The name of a kind's Celery task: what programs import and what Flower shows."""
    return kind + _SUFFIX


def kind_of(name: str) -> str | None:
    """The kind that a Celery task runs, also under the names ``tasks.NAME`` and ``KIND``; None for a strange one."""
    kind = name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    return kind if kind in KINDS else None


def broker_url(redis: RedisSettings) -> str:
    """Where the broker is, in the form that Celery reads."""
    if redis.url is None:
        secret = f":{quote(redis.password.get_secret_value(), safe='')}@" if redis.password else ""
        return f"redis://{secret}{redis.host or 'localhost'}:{redis.port}/{redis.db}"
    url = redis.url.get_secret_value()
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.scheme == "unix":
        database = query.get("db", ["0"])[0]
        return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in query:
        # Without a word on it, Celery would refuse to start, and not verify the server's certificate.
        return f"{url}{'&' if parts.query else '?'}ssl_cert_reqs=required"
    return url


def configuration(
    redis: RedisSettings, *, kinds: Mapping[str, KindSettings] | None = None, queues: Iterable[str] = ()
) -> dict[str, Any]:
    """Celery's settings for us, under Celery's names."""
    from kombu import Exchange, Queue

    routes = {name: kind.queue for name, kind in effective_kinds(kinds or {}).items()}
    names = dict.fromkeys([*QUEUES, *routes.values(), *queues])
    return {
        "broker_url": broker_url(redis),
        "broker_transport_options": {
            # Without these, sending over a connection that died silently waits for ever.
            "socket_connect_timeout": _CONNECT_SECONDS,
            "socket_timeout": _ANSWER_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": _HEALTH_CHECK_SECONDS,
            "visibility_timeout": _UNACKED_SECONDS,
            # By default, ten times the one and ten times the other lie between two looks for forgotten messages.
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": _CONNECT_SECONDS,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "task_default_queue": QUEUES[0],
        # Priorities stay out of messages: the rows have them, and Redis takes 0 for the most urgent.
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in names],
        "task_create_missing_queues": False,
        "task_routes": {task_name(kind): {"queue": queue} for kind, queue in routes.items()},
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_max": 0.1, "timeout": 1.0},
        # Acknowledged when the row is claimed; nobody waits for a result in Redis.
        "task_acks_late": False,
        "task_ignore_result": True,
        "worker_pool": "gristmill.worker.celery.pool:SupervisorPool",
        "worker_consumer": "gristmill.worker.celery.consumer:FrontConsumer",
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_enable_prefetch_count_reduction": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }


def make_app(configure: Callable[[], Mapping[str, Any]], *, cls: "type[Celery] | None" = None) -> "Celery":
    """A Celery application that asks for its settings when it first needs one."""
    import celery

    # Not the current one: whoever imports us may have an application of their own.
    app = (cls or celery.Celery)("gristmill", set_as_current=False)
    app.add_defaults(configure)
    return app


class CeleryBroker:
    """Implements :class:`gristmill.engines.broker.Broker` with Celery's messages."""

    def __init__(self, redis: RedisSettings) -> None:
        self._redis = redis
        self._app: Celery | None = None
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    @property
    def name(self) -> str:
        return CELERY

    def publish(self, tasks: Sequence[Ready]) -> None:
        app, producer = self._connected()
        from kombu.exceptions import BatchPublishError

        try:
            with failures(self.name), producer.batch():
                for task in tasks:
                    headers, properties, body, _ = app.amqp.as_task_v2(
                        task.id, task_name(task.kind), argsrepr="()", kwargsrepr="{}", ignore_result=True
                    )
                    headers[OURS] = True
                    producer.publish(
                        body, exchange="", routing_key=task.queue, serializer="json", headers=headers, **properties
                    )
        except BatchPublishError as error:
            self.close()
            cause = error.__cause__
            raise failure(self.name, cause if isinstance(cause, Exception) else error) from error
        except Exception:
            self.close()
            raise

    def ping(self) -> None:
        self._app_or_refuse()
        with failures(self.name), connect(self._redis, answer_seconds=_ANSWER_SECONDS) as redis:
            prove(redis)

    def close(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()

    def _app_or_refuse(self) -> "Celery":
        if self._app is None:
            try:
                self._app = make_app(lambda: configuration(self._redis))
            except ImportError as error:
                raise Unavailable("extra_missing", feature="engine celery", extra="celery") from error
        return self._app

    def _connected(self) -> "tuple[Celery, Producer]":
        app = self._app_or_refuse()
        if self._producer is None:
            with failures(self.name):
                # Named once more: Celery would let CELERY_BROKER_URL win over our settings.
                self._connection = app.connection_for_write(broker_url(self._redis))
                # Once; left to itself, it would try again for ever.
                self._connection.ensure_connection(max_retries=0, reraise_as_library_errors=False)
                self._producer = app.amqp.Producer(self._connection.channel(), auto_declare=False)
        return app, self._producer
