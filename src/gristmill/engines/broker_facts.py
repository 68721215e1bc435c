"""What a broker says of itself, for whoever has to tell an operator what is wrong with it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gristmill.engines.redis import connect, failures
from gristmill.settings.model import RedisSettings

__all__ = ["BrokerFacts", "address_of", "look_at_broker"]

_PROBE = "gristmill:doctor"
_PROBE_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFacts:
    """A broker that answered and took a write."""

    version: str
    maxmemory: int
    """Bytes it may use; 0 means any number."""
    policy: str
    """What it does when they are full."""


def look_at_broker(settings: RedisSettings) -> BrokerFacts:
    """The broker that ``settings`` name, after a write; :class:`Unavailable` that says what is wrong with it."""
    with failures("broker"), connect(settings) as client:
        client.set(_PROBE, "1", ex=_PROBE_SECONDS)
        server: Any = client.info("server")
        memory: Any = client.info("memory")
    return BrokerFacts(
        version=str(server.get("valkey_version") or server.get("redis_version") or ""),
        maxmemory=int(memory.get("maxmemory") or 0),
        policy=str(memory.get("maxmemory_policy") or "noeviction"),
    )


def address_of(settings: RedisSettings) -> str:
    """Host and port, and nothing that is secret."""
    if settings.url is None:
        return f"{settings.host or 'localhost'}:{settings.port}"
    parts = urlsplit(settings.url.get_secret_value())
    return parts.path if parts.scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
