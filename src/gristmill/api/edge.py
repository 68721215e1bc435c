"""The outermost layer of the API: settles the language, adds the headers, and lets no defect of ours through.

Everything that leaves passes here, also what the layers below answer without reaching an endpoint.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gristmill.api.errors import internal_problem
from gristmill.api.language import chosen_language
from gristmill.ids import new_id
from gristmill.logs import get_log

__all__ = ["Edge"]

_log = get_log(__name__)

_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Edge:
    """Middleware around all other."""

    def __init__(self, app: ASGIApp, *, language: str) -> None:
        self._app = app
        self._language = language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and dress what comes back."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        language = chosen_language(Headers(scope=scope).get("accept-language", ""), self._language)
        scope.setdefault("state", {})["language"] = language
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        started = False

        async def dressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers["Content-Language"] = language
                headers.add_vary_header("Accept-Language")
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        except ClientDisconnect:
            _log.debug("request.abandoned", method=scope["method"])
        except Exception:
            log_id = new_id()
            _log.exception("request.failed", log_id=log_id, method=scope["method"], path=scope["path"])
            if started:
                raise
            await internal_problem(log_id, language)(scope, receive, dressed)
