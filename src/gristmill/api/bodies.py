"""Request bodies: how large one may be, and what counts as JSON and as a form.

JSON is read strictly: no NaN, no number beyond 64 bits and no broken Unicode, because nothing behind it stores those.
"""

import json
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gristmill.api.answering import answering
from gristmill.api.gristmill import Service
from gristmill.errors import InvalidInput, LimitExceeded

__all__ = ["BodyLimit", "Sent", "SentBody", "StrictRoute", "media_type", "read_json"]

JSON_TYPE = "application/json"
MULTIPART_TYPE = "multipart/form-data"
FORM_TYPES = (MULTIPART_TYPE, "application/x-www-form-urlencoded")

_MOST_JSON_BYTES = 16 * 1024 * 1024
_MOST_FIELDS = 100


def media_type(headers: Headers) -> str:
    """The media type of a body, bare and in lower case; empty if the client did not say."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


class BodyLimit:
    """Middleware that stops reading a body which is too large, whether or not it said so beforehand."""

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int) -> None:
        self._app = app
        self._most_form_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that ends at the limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = self._most_form_bytes if media_type(headers) == MULTIPART_TYPE else _MOST_JSON_BYTES
        announced = headers.get("content-length", "")
        left = most if not announced.isdecimal() or int(announced[:20]) <= most else -1

        async def bounded() -> Message:
            nonlocal left
            if left >= 0:
                message = await receive()
                left -= len(message.get("body", b""))
            if left < 0:
                raise LimitExceeded("body_too_large", limit_bytes=most)
            return message

        await self._app(scope, bounded, send)


class StrictRoute(APIRoute):
    """A route whose JSON body, if it takes one, is read strictly, and whose answer is made in the endpoint's thread."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, answering(endpoint, options.get("status_code")), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a request whose body is read already."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def strict(request: Request) -> Response:
            body = await request.body()
            if body and not _is_json(request.headers):
                raise _unsupported(request.headers, JSON_TYPE)
            return await handle(_ReadRequest(request, body, read_json(body) if body else None))

        return strict


class _ReadRequest(Request):
    def __init__(self, request: Request, body: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._read = (body, value)

    async def body(self) -> bytes:
        return self._read[0]

    async def json(self) -> Any:
        return self._read[1]


def _is_json(headers: Headers) -> bool:
    sent = media_type(headers)
    return sent == JSON_TYPE or (sent.startswith("application/") and sent.endswith("+json"))


def _unsupported(headers: Headers, expected: str) -> InvalidInput:
    return InvalidInput("content_type_unsupported", value=media_type(headers)[:100], expected=expected)


def read_json(body: bytes) -> Any:
    """The value of ``body``; :class:`InvalidInput` that says what is wrong with it."""
    try:
        value = json.loads(body, parse_int=_whole_number, parse_float=_number, parse_constant=_no_number)
    except InvalidInput:
        raise
    except UnicodeDecodeError as error:
        raise InvalidInput("body_not_json", reason="not UTF-8") from error
    except json.JSONDecodeError as error:
        reason = f"{error.msg}, line {error.lineno} column {error.colno}"
        raise InvalidInput("body_not_json", reason=reason) from error
    except RecursionError as error:
        raise InvalidInput("body_not_json", reason="nested too deeply") from error
    if b"\\u" in body:
        _check_unicode(value)
    return value


def _whole_number(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise InvalidInput("number_too_large")
    return int(digits)


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise InvalidInput("number_too_large")
    return number


def _no_number(name: str) -> float:
    raise InvalidInput("body_not_json", reason=f"{name} is no JSON number")


def _check_unicode(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput("text_not_unicode") from error


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that may come as JSON or as a form: its values, and its files where it has some."""

    values: Mapping[str, Any]
    files: tuple[tuple[str, UploadFile], ...] = field(default=())
    is_form: bool = False


async def _sent(request: Request, app: Service) -> AsyncIterator[Sent]:
    if _is_json(request.headers):
        value = read_json(await request.body())
        if not isinstance(value, dict):
            raise InvalidInput("field_not_object", field="body", value=type(value).__name__)
        yield Sent(value)
        return
    if media_type(request.headers) not in FORM_TYPES:
        raise _unsupported(request.headers, f"{JSON_TYPE} or {MULTIPART_TYPE}")
    most = app.settings.sources.max_files_per_request
    try:
        form = await request.form(max_files=most, max_fields=_MOST_FIELDS)
    except HTTPException as error:
        raise _refused_form(error, most) from error
    try:
        files = tuple((name, part) for name, part in form.multi_items() if isinstance(part, UploadFile))
        texts = {name: part for name, part in form.multi_items() if isinstance(part, str)}
        # A browser sends a file field that was left empty as a part with an empty name.
        yield Sent(texts, tuple((name, part) for name, part in files if part.filename or part.size), is_form=True)
    finally:
        await form.close()


def _refused_form(error: HTTPException, most: int) -> Exception:
    if "Too many files" in str(error.detail):
        return LimitExceeded("too_many_files", field="files", count=f"> {most}", max_files=most)
    return InvalidInput("body_unreadable", reason=str(error.detail))


SentBody = Annotated[Sent, Depends(_sent)]
"""Asked for by endpoints that take JSON and forms alike."""
