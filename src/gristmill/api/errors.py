"""From errors to answers: one table of statuses, and problems in the form of RFC 9457.

Clients get a code, its facts and its message; what else went wrong stays in the log.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

from gristmill.api.faults import Fault, faults_of
from gristmill.errors import (
    Conflict,
    Forbidden,
    GristmillError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    StepFailed,
    Unauthorized,
    Unavailable,
)
from gristmill.messages import render

__all__ = ["PROBLEM_TYPE", "handle_errors", "internal_problem", "problem_response", "status_of"]

PROBLEM_TYPE = "application/problem+json"

_OUR_OWN_BUSINESS = frozenset({"database_forbids", "database_refused"})
"""Told in the server's own words, which may name users and databases: for the log and the doctor, not for clients."""

_STATUS: Mapping[type[GristmillError], HTTPStatus] = {
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    LimitExceeded: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    StepFailed: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    GristmillError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

_STATUS_BY_CODE: Mapping[str, HTTPStatus] = {
    "body_not_json": HTTPStatus.BAD_REQUEST,
    "body_unreadable": HTTPStatus.BAD_REQUEST,
    "content_type_unsupported": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "disk_full": HTTPStatus.INSUFFICIENT_STORAGE,
    "host_not_allowed": HTTPStatus.MISDIRECTED_REQUEST,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
}
"""Where HTTP knows a more telling status than that of the class."""

_HEADERS: Mapping[HTTPStatus, Mapping[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "5"},
}

_RESERVED = frozenset({"type", "title", "status", "detail", "instance", "code", "success", "message", "errors"})


def status_of(error: GristmillError) -> HTTPStatus:
    """The status that ``error`` is answered with."""
    return _STATUS_BY_CODE.get(error.code) or next(_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS)


def problem_response(error: GristmillError, language: str) -> JSONResponse:
    """The answer to a request that raised ``error``."""
    if error.code in _OUR_OWN_BUSINESS:
        return _response(HTTPStatus.SERVICE_UNAVAILABLE, "database_unreachable", {}, language)
    return _response(status_of(error), error.code, error.facts, language)


def internal_problem(log_id: str, language: str) -> JSONResponse:
    """The answer to a request that met a defect of ours: where to find it, and nothing else."""
    return _response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", {"log_id": log_id}, language)


def _response(
    status: HTTPStatus,
    code: str,
    facts: Mapping[str, object],
    language: str,
    *,
    errors: Sequence[Mapping[str, object]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    message = render(code, facts, language)
    problem: dict[str, Any] = {
        "type": f"urn:gristmill:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": message,
        "code": code,
        "success": False,
        "message": message,
        **{name: value for name, value in facts.items() if name not in _RESERVED},
    }
    if errors:
        problem["errors"] = errors
    return JSONResponse(problem, status.value, {**_HEADERS.get(status, {}), **(headers or {})}, media_type=PROBLEM_TYPE)


def handle_errors(api: FastAPI) -> None:
    """Answer every expected error of ``api`` with a problem."""
    api.add_exception_handler(GristmillError, _on_gristmill_error)
    api.add_exception_handler(RequestValidationError, _on_invalid_request)
    api.add_exception_handler(HTTPException, _on_http_error)


async def _on_gristmill_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GristmillError)
    facts = dict(error.facts)
    if error.code == "idempotency_key_reused":
        facts["key"] = request.headers.get("idempotency-key")  # As the client wrote it, without whose it is.
    return _response(status_of(error), error.code, facts, request.state.language)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    language = request.state.language
    faults = faults_of(error.errors())
    first = faults[0]
    listed = [_listed(fault, language) for fault in faults]
    return _response(HTTPStatus.UNPROCESSABLE_ENTITY, first.code, first.facts, language, errors=listed)


def _listed(fault: Fault, language: str) -> dict[str, object]:
    return {"code": fault.code, "message": render(fault.code, fault.facts, language), **fault.facts}


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status, language = HTTPStatus(error.status_code), request.state.language
    match status:
        case HTTPStatus.NOT_FOUND:
            return _response(status, "route_unknown", {"path": request.url.path[:200]}, language)
        case HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = ", ".join(_allowed(request))
            facts = {"method": request.method, "allowed": allowed}
            return _response(status, "method_not_allowed", facts, language, headers={"Allow": allowed})
        case HTTPStatus.BAD_REQUEST:
            return _response(status, "body_unreadable", {"reason": error.detail}, language)
        case _:
            return _response(status, "request_refused", {"http_status": status.value}, language)


def _allowed(request: Request) -> list[str]:
    # The router stops at the first route of an address and names its methods alone.
    routes: Sequence[Route] = request.app.state.routes
    found = [route.methods or set() for route in routes if route.path_regex.match(request.url.path)]
    return sorted(set().union(*found))
