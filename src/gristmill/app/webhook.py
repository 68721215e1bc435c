"""Posts events to an address that somebody outside gave us, signed, and to no address that is not public.

The rules are those for fetching: a name is resolved once, and the connection goes to the address that was judged.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gristmill.errors import InvalidInput, Unavailable

__all__ = ["Webhook", "signature"]


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the header ``X-Gristmill-Signature`` holds for ``body``, sent at ``timestamp`` (seconds since the epoch)."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


class Webhook:
    """One receiver."""

    def __init__(
        self,
        url: str,
        *,
        secret: str | None,
        timeout_seconds: float,
        allowed_hosts: Sequence[str] = (),
        ask: Callable[[str, int], Sequence[str]] | None = None,
    ) -> None:
        self._url = url
        self._secret = secret
        self._timeout_seconds = timeout_seconds
        self._allowed_hosts = tuple(allowed_hosts)
        self._ask = ask

    def post(self, delivery: str, event: Mapping[str, Any]) -> None:
        """Deliver ``event``; ``delivery`` is an id by which the receiver knows one that comes twice.

        :class:`Unavailable` if it did not arrive, :class:`Forbidden` for an address that is not public,
        :class:`InvalidInput` for a URL that is none. Redirects are not followed.
        """
        # Not at the top: the API carries no HTTP client until there is something to post.
        import httpcore
        import httpx

        from gristmill.steps.fetch.network import Deadline, GuardedNetwork, resolve

        try:
            target = httpx.URL(self._url)
        except (httpx.InvalidURL, ValueError) as error:
            raise InvalidInput("webhook_url_invalid", field="webhook_url") from error
        if target.scheme not in {"http", "https"} or not target.host or target.userinfo:
            raise InvalidInput("webhook_url_invalid", field="webhook_url")
        deadline = Deadline(self._timeout_seconds, time.monotonic)
        network = GuardedNetwork(
            deadline, allow_private=False, allowed_hosts=self._allowed_hosts, ask=self._ask or resolve
        )
        body = json.dumps(event, ensure_ascii=False).encode()
        try:
            with (
                httpcore.ConnectionPool(network_backend=network, max_keepalive_connections=0) as pool,
                pool.stream(
                    "POST",
                    httpcore.URL(
                        scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
                    ),
                    headers=[(b"Host", target.netloc), *self._headers(delivery, body)],
                    content=body,
                    extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), deadline.left())},
                ) as answer,
            ):
                status = answer.status
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise Unavailable("webhook_unreachable", host=target.host, reason=type(error).__name__) from error
        if not 200 <= status < 300:
            raise Unavailable("webhook_refused", host=target.host, status=status)

    def _headers(self, delivery: str, body: bytes) -> list[tuple[bytes, bytes]]:
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "User-Agent": "gristmill",
            "X-Gristmill-Delivery": delivery,
            "X-Gristmill-Timestamp": timestamp,
        }
        if self._secret is not None:
            headers["X-Gristmill-Signature"] = signature(self._secret, timestamp, body)
        return [(name.encode(), value.encode()) for name, value in headers.items()]
