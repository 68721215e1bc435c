"""Who may ask what: keys and their scopes, and what a service without keys accepts.

Without a key the service is open to this machine alone, so it must not be talked into serving web pages of others:
the Host must be a name of ours (against DNS rebinding), and a cross-site Origin may not change anything.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import Request, Security
from fastapi.params import Security as SecurityParam
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from gristmill.api.errors import problem_response
from gristmill.app import Gristmill
from gristmill.db.keys import Scope as KeyScope
from gristmill.db.keys import ValidKeys
from gristmill.errors import Forbidden, GristmillError, Unauthorized

__all__ = ["Caller", "Gate", "caller_of", "is_loopback", "may_read", "needs"]

_PUBLIC = frozenset({"/health/live", "/health/ready", "/docs", "/docs/page.js", "/docs/page.css", "/openapi.json"})
"""Open to everyone: probes and browsers bring no key, and there is nothing in them that is not in the source."""
_ASKING = frozenset({"http", "websocket"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request; without a ``key_id``, whoever uses this machine."""

    scope: KeyScope
    key_id: str | None = None


class Gate:
    """Middleware that turns strangers away before their request's body is read."""

    def __init__(self, app: ASGIApp, *, gristmill: Gristmill) -> None:
        self._app = app
        self._keys = gristmill.keys
        self._tickets = gristmill.tickets
        self._is_local = is_loopback(gristmill.settings.api.host)
        self._names = frozenset(name.lower() for name in gristmill.settings.api.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through with its caller noted, or answer it."""
        if scope["type"] in _ASKING and scope["path"] not in _PUBLIC:
            try:
                keys = self._keys.remembered()
                if keys is None:
                    keys = await to_thread.run_sync(self._keys.valid)
                ticket = _ticket(scope)
                if ticket is None:
                    scope["state"]["caller"] = self.admit(scope, keys)
                else:
                    scope["state"]["caller"] = await to_thread.run_sync(self._admit_ticket, scope, ticket, keys)
            except GristmillError as error:
                await problem_response(error, scope["state"]["language"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit_ticket(self, scope: Scope, secret: str, keys: ValidKeys) -> Caller:
        """Whoever was given the ticket, who may read and nothing else."""
        self._check_socket(scope)
        ticket = self._tickets.redeem(secret)
        if not keys.admits(ticket.key_id):
            raise Unauthorized("key_invalid")
        return Caller(scope=KeyScope.READ, key_id=ticket.key_id)

    def admit(self, scope: Scope, keys: ValidKeys) -> Caller:
        """Who is calling, where ``keys`` are valid; :class:`Unauthorized` or :class:`Forbidden`."""
        self._check_socket(scope)
        headers = Headers(scope=scope)
        secret = _secret(headers)
        if secret is None and self._is_local and _is_local_peer(scope) and not keys:
            self._check_host(headers)
            if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
                self._check_origin(headers)
            return Caller(scope=KeyScope.ADMIN)
        key = keys.check(secret)
        return Caller(scope=key.scope, key_id=key.id)

    def _check_socket(self, scope: Scope) -> None:
        # Browsers let any page open a socket to us and read from it, so what asks has to be one of ours, key or not.
        if scope["type"] == "websocket":
            self._check_origin(Headers(scope=scope))

    def _check_host(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise Forbidden("host_not_allowed", host=host[:100])

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is None:
            # Browsers that hide the origin still tell that there is a foreign one.
            if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
                raise Forbidden("origin_not_allowed")
            return
        netloc = urlsplit(origin).netloc.lower() if "://" in origin else ""
        if not netloc or (netloc != headers.get("host", "").lower() and not self._is_named(netloc)):
            raise Forbidden("origin_not_allowed")

    def _is_ours(self, host: str) -> bool:
        return self._is_named(host) or is_loopback(_bare(host))

    def _is_named(self, host: str) -> bool:
        return host.lower() in self._names or _bare(host) in self._names


def needs(scope: KeyScope) -> SecurityParam:
    """The dependency of an endpoint that asks for ``scope``."""
    return _NEEDS[scope]


def _need(scope: KeyScope) -> SecurityParam:
    async def check(
        request: Request,
        _bearer: Any = Security(_BEARER),  # noqa: B008 - FastAPI's way to document a scheme
        _header: Any = Security(_API_KEY),  # noqa: B008 - see above
    ) -> None:
        caller = caller_of(request)
        if not caller.scope.allows(scope):
            raise Forbidden("scope_missing", needed=scope.value, scope=caller.scope.value)

    dependency: Callable[..., Coroutine[Any, Any, None]] = check
    return SecurityParam(dependency)


def caller_of(request: HTTPConnection) -> Caller:
    """Who sent ``request``; the gate has made sure that it is somebody."""
    caller: Caller = request.state.caller
    return caller


def may_read(app: Gristmill, request: Request) -> bool:
    """Whether the sender of a request to a public address could read the others too."""
    try:
        Gate(request.app, gristmill=app).admit(request.scope, app.keys.valid())
    except GristmillError:
        return False
    return True


_BEARER = HTTPBearer(auto_error=False, description="`Authorization: Bearer KEY`")
_API_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="`X-API-Key: KEY`")
_NEEDS = {scope: _need(scope) for scope in KeyScope}


def _secret(headers: Headers) -> str | None:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    return headers.get("x-api-key", "").strip() or None


def _ticket(scope: Scope) -> str | None:
    """The ticket in the address, where one is taken: browsers cannot send a header with what they keep open."""
    if scope["type"] != "websocket" and not scope["path"].endswith("/events"):
        return None
    return QueryParams(scope["query_string"]).get("ticket") or None


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address, means this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost")


def _is_local_peer(scope: Scope) -> bool:
    peer = scope.get("client")
    return peer is None or is_loopback(peer[0])


def _bare(host: str) -> str:
    """``host`` without its port."""
    host = host.lower()
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0].rstrip(".")
